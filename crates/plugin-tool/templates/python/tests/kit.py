"""Takes the cases in `cases/` through the converter natively, the way the host would: defaults of
the form, JSON Schema, `validate`, `convert`. The format of the folders is described in
`docs/write-a-plugin.md` of Trainyard; `trainyard-plugin check` reads the same ones."""

import json
import os
import re
import sys
from pathlib import Path

PROJECT = Path(__file__).parent.parent
# Before anything of the plugin is imported, and without leaving caches beside the sources.
sys.dont_write_bytecode = True
sys.path.insert(0, str(PROJECT / "src"))

import plugin  # noqa: E402
from trainyard.contract import Invalid, Unsupported  # noqa: E402
from trainyard.job import read_job  # noqa: E402
from trainyard.schema import schema_of  # noqa: E402

# Set to `1`, this variable makes the cases write what they would compare.
UPDATE = os.environ.get("TRAINYARD_UPDATE_CASES") == "1"

_TYPES = {
    "array": list,
    "boolean": bool,
    "integer": int,
    "null": type(None),
    "number": (int, float),
    "object": dict,
    "string": str,
}


def job_of(form: dict, settings: dict | None = None) -> dict:
    """The job that the host would hand over for a form without mistakes."""
    resources = form.get("resources") or {}
    each = resources.get("instanceResources") or {}
    algorithm = form.get("algorithm") or {}
    job = {
        "id": f"{form['jobName']}-1a2b3c4d",
        "name": form["jobName"],
        "namespace": form.get("namespace") or "default",
        "algorithm": plugin.ALGORITHMS[0],
        "attempt": 1,
        "priority": form.get("priority") or 500,
        "resources": {
            "cpuCores": each.get("cpuCores", 4),
            "memoryGiB": each.get("memoryGiB", 16),
            "gpuCount": each.get("gpuCount", 0),
            "instanceCount": resources.get("instanceCount", 1) or 1,
            "volumeSizeGB": resources.get("volumeSizeGB", 0),
        },
        "channels": [_channel(channel) for channel in form.get("inputDataConfig") or []],
        "hyperparameters": _filled(hyperparameters_schema(), _hyperparameters(form)),
        "customHyperparameters": form.get("customHyperparameters") or {},
        "settings": _filled(settings_schema(), settings or {}),
        "maxRuntimeSeconds": (form.get("stoppingCondition") or {}).get("maxRuntimeSeconds"),
        "outputUri": (form.get("outputDataConfig") or {}).get("artifactUri"),
        "entrypoint": form.get("entrypoint"),
        "headImage": form.get("headImage"),
        "workerImage": form.get("workerImage"),
        "imageUri": algorithm.get("imageUri") if isinstance(algorithm, dict) else None,
        "pvcName": form.get("pvcName"),
    }
    return {name: value for name, value in job.items() if value is not None and value != ""}


def hyperparameters_schema() -> dict:
    return schema_of(plugin.Hyperparameters, plugin.TITLE)


def settings_schema() -> dict:
    return schema_of(plugin.Settings, f"{plugin.TITLE} settings")


def violations(schema: dict, values: dict) -> list[tuple[str, str]]:
    """Name and code of everything that breaks a schema made by `trainyard.schema`."""
    found = []
    for name, value in values.items():
        rule = schema["properties"].get(name)
        code = "unknown-field" if rule is None else _violation(rule, value)
        if code:
            found.append((name, code))
    return found


def answer(form: dict, settings: dict | None = None) -> tuple[str, list]:
    """What becomes of a form: the name of the file that says so, and its content."""
    start = f"/hyperparameters/{plugin.ALGORITHMS[0]}"
    broken = violations(hyperparameters_schema(), _hyperparameters(form))
    if broken:
        return _findings([(f"{start}/{name}", code) for name, code in broken])
    text = json.dumps(job_of(form, settings))
    job = read_job(text, plugin.Hyperparameters, plugin.Settings)
    findings = plugin.validate(job)
    if not findings:
        try:
            plan = plugin.convert(job)
            return "plan.json", [{"role": m.role, "document": m.document} for m in plan.manifests]
        except Invalid as error:
            findings = error.findings
        except Unsupported:
            return _findings([("", "unsupported")])
    return _findings([(f.pointer, f.code) for f in findings])


def check_cases(test) -> None:
    """Compares every case; with `TRAINYARD_UPDATE_CASES=1` writes it instead."""
    folders = sorted(path for path in (PROJECT / "cases").iterdir() if path.is_dir())
    test.assertTrue(folders, "there are no cases")
    for folder in folders:
        with test.subTest(folder.name):
            settings = _read(folder / "settings.json")
            name, found = answer(_read(folder / "form.json"), settings)
            if UPDATE:
                for other in ("plan.json", "findings.json"):
                    (folder / other).unlink(missing_ok=True)
                text = json.dumps(found, indent=2, ensure_ascii=False)
                (folder / name).write_text(text + "\n", encoding="utf-8")
            expected = _read(folder / name)
            test.assertIsNotNone(expected, f"it gives {name}: {found}")
            test.assertEqual(found, expected)


def _findings(found: list[tuple[str, str]]) -> tuple[str, list]:
    # Their order is nobody's promise.
    return "findings.json", [{"pointer": pointer, "code": code} for pointer, code in sorted(found)]


def _hyperparameters(form: dict) -> dict:
    given = form.get("hyperparameters") or {}
    # An alias of the algorithm is as good.
    return given.get(plugin.ALGORITHMS[0]) or next(iter(given.values()), {})


def _channel(channel: dict) -> dict:
    _, _, path = channel["bucket"].rpartition("://")
    bucket, _, inner = path.strip("/").partition("/")
    job = {
        "name": channel.get("channelName") or "train",
        "type": channel.get("channelType") or "train",
        "provider": channel.get("storageProvider") or "minio",
        "endpoint": channel.get("endpoint") or "",
        "bucket": bucket,
        "prefix": (channel.get("prefix") or inner).lstrip("/"),
        "contentType": channel.get("contentType"),
        "featureNames": channel.get("featureNames") or [],
        "labelName": channel.get("labelName"),
    }
    return {name: value for name, value in job.items() if value is not None}


def _filled(schema: dict, values: dict) -> dict:
    defaults = {name: rule["default"] for name, rule in schema["properties"].items()}
    return {**values, **{name: d for name, d in defaults.items() if name not in values}}


def _violation(rule: dict, value) -> str | None:
    kinds = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
    if not any(_is(kind, value) for kind in kinds):
        return "type"
    if "enum" in rule and value not in rule["enum"]:
        return "not-allowed"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        outside = (
            value < rule.get("minimum", value)
            or value > rule.get("maximum", value)
            or ("exclusiveMinimum" in rule and value <= rule["exclusiveMinimum"])
            or ("exclusiveMaximum" in rule and value >= rule["exclusiveMaximum"])
        )
        return "out-of-range" if outside else None
    if isinstance(value, str) and len(value) < rule.get("minLength", 0):
        return "too-short"
    if isinstance(value, str) and not re.search(rule.get("pattern", ""), value):
        return "pattern"
    return None


def _is(kind: str, value) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[kind])


def _read(path: Path):
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
