"""The contract's types, as `wit/converter.wit` describes them. Plain classes, so that converters
and their tests also run outside of a component."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a form. `pointer` is an RFC 6901 pointer into it."""

    pointer: str
    code: str
    message: str


class Invalid(Exception):
    """The form cannot be converted as it is."""

    def __init__(self, findings: list[Finding]):
        super().__init__("; ".join(finding.message for finding in findings))
        self.findings = findings


class Unsupported(Exception):
    """The form is right but asks for something this plugin does not do. One sentence."""


@dataclass(frozen=True)
class Kind:
    """A Kubernetes kind that the plugin emits."""

    api_version: str
    kind: str
    plural: str
    workload: bool
    max_name_length: int = 63


@dataclass(frozen=True)
class Manifest:
    """One object to create. `role` is `workload`, `storage` or `config`."""

    role: str
    document: dict


@dataclass
class Plan:
    """What `convert` produces."""

    manifests: list[Manifest] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class LogTarget:
    """Which pods' logs a user wants to read."""

    role: str
    label_selector: str
    container: str | None = None


@dataclass
class Report:
    """One reading of a workload's status. `state` and `failure` are the contract's words."""

    state: str
    reason: str
    message: str
    progress: float | None = None
    failure: str = "none"
    started_at: str | None = None
    finished_at: str | None = None
    logs: list[LogTarget] = field(default_factory=list)
