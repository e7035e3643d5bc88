"""Puts a plugin behind the exports of the contract. Used by `src/component.py` alone: the modules
imported here exist only while a component is made."""

import json
import traceback

from componentize_py_types import Err
from wit_world.imports import log, types

from trainyard import contract
from trainyard.contract import Invalid, Report, Unsupported
from trainyard.job import read_job
from trainyard.schema import schema_of


def describe(plugin) -> types.Description:
    """What the plugin says about itself."""
    return types.Description(
        name=plugin.NAME,
        version=plugin.VERSION,
        algorithms=list(plugin.ALGORITHMS),
        title=plugin.TITLE,
        summary=plugin.SUMMARY,
        hyperparameters_schema=json.dumps(schema_of(plugin.Hyperparameters, plugin.TITLE)),
        settings_schema=json.dumps(schema_of(plugin.Settings, f"{plugin.TITLE} settings")),
        kinds=[types.Kind(**vars(kind)) for kind in plugin.KINDS],
        examples=[json.dumps(example) for example in plugin.EXAMPLES],
        extra=[],
    )


def validate(plugin, text: str) -> list[types.Finding]:
    """Everything wrong with the job."""
    try:
        job = read_job(text, plugin.Hyperparameters, plugin.Settings)
        return [_finding(finding) for finding in plugin.validate(job)]
    except Exception:
        return [_finding(contract.Finding("", "internal", _internal()))]


def convert(plugin, text: str) -> types.Plan:
    """The job's manifests."""
    try:
        plan = plugin.convert(read_job(text, plugin.Hyperparameters, plugin.Settings))
        manifests = [
            types.Manifest(manifest.role, json.dumps(manifest.document, ensure_ascii=False))
            for manifest in plan.manifests
        ]
        return types.Plan(manifests, plan.warnings, [])
    except Invalid as error:
        findings = [_finding(finding) for finding in error.findings]
        raise Err(types.Failure_Invalid(findings)) from None
    except Unsupported as error:
        raise Err(types.Failure_Unsupported(str(error))) from None
    except Exception:
        raise Err(types.Failure_Internal(_internal())) from None


def interpret(plugin, text: str) -> types.Report:
    """One reading of a status."""
    try:
        workload = json.loads(text)
        report = plugin.interpret(workload if isinstance(workload, dict) else {})
    except Exception:
        report = Report("unknown", "PluginError", _internal())
    return types.Report(
        state=types.RunState[_word(report.state)],
        reason=report.reason,
        message=report.message,
        progress=report.progress,
        failure=types.FailureClass[_word(report.failure)],
        started_at=report.started_at,
        finished_at=report.finished_at,
        logs=[types.LogTarget(**vars(target)) for target in report.logs],
        extra=[],
    )


def _finding(finding: contract.Finding) -> types.Finding:
    return types.Finding(finding.pointer, finding.code, finding.message, [])


def _word(word: str) -> str:
    return word.upper().replace("-", "_")


def _internal() -> str:
    """The whole trace goes to the operator's log; users see one sentence of the host's."""
    trace = traceback.format_exc()
    log.write(log.Level.ERROR, trace)
    return trace.strip().rsplit("\n", 1)[-1]
