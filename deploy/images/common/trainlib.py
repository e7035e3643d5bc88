"""What the training programs of these images share: settings, tables, results.

Everything comes from the environment that the plugins write (docs/training-programs.md), so that
a program holds its own algorithm and nothing else. The libraries of storage and tables are loaded
where they are needed: a process that only reads its settings starts at once.
"""

from __future__ import annotations

import io
import json
import os
import pathlib
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import urlopen

if TYPE_CHECKING:
    import numpy
    import pandas

DEFAULT_LABEL = "target"
"""Column to predict when the form names none; the predecessor's name for it."""

OBJECT_STORES = ("s3", "storage", "gs")
"""Schemes of addresses that speak the protocol of S3. `storage` is the predecessor's word."""

WEB = ("http", "https")
"""Schemes of addresses on the web, of which each is one file."""

WEB_ATTEMPTS = 5
WEB_TIMEOUT = 60
"""Seconds without a byte."""

GOOGLE_ENDPOINT = "https://storage.googleapis.com"
FORMATS = {".csv": "csv", ".parquet": "parquet"}


def fail(reason: str) -> NoReturn:
    """Ends the program. The reason is one line, because it becomes the end of the pod's log."""
    sys.exit(f"error: {reason}")


# Settings


def text(name: str, default: str = "") -> str:
    """A variable; an empty one counts as absent, as the plugins mean it."""
    return os.environ.get(name, "") or default


def hp(name: str, default: str = "") -> str:
    """A hyperparameter by the name that the form has for it."""
    return text(f"HP_{name.upper()}", default)


def hp_int(name: str) -> int | None:
    """A whole number, or `None` where the form leaves it open."""
    value = hp(name)
    return int(value) if value else None


def hp_float(name: str) -> float | None:
    """A number, or `None` where the form leaves it open."""
    value = hp(name)
    return float(value) if value else None


def hp_bool(name: str) -> bool:
    """A switch; the plugins write `true` and `false`."""
    return hp(name) == "true"


def hp_list(name: str) -> list[str]:
    """A list; the plugins join them by commas."""
    return [item for item in hp(name).split(",") if item]


def hp_needed(name: str) -> str:
    """A hyperparameter that the plugin always writes."""
    return hp(name) or fail(f"the variable HP_{name.upper()} is missing")


def custom() -> dict[str, Any]:
    """What the user added beyond the plugin's own hyperparameters."""
    return dict(json.loads(text("CUSTOM_HYPERPARAMETERS", "{}")))


def instance() -> tuple[int, int]:
    """Number of this pod, and how many there are."""
    return int(text("INSTANCE_INDEX", "0")), int(text("INSTANCE_COUNT", "1"))


# Input


@dataclass(frozen=True)
class Channel:
    """One input of the job."""

    name: str
    type: str
    uri: str
    endpoint: str = ""
    format: str = ""
    features: Sequence[str] = field(default_factory=tuple)
    label: str = ""


def channels() -> dict[str, Channel]:
    """The inputs by their type: `train`, `validation`, `test`. The first of a type counts."""
    found: dict[str, Channel] = {}
    for entry in json.loads(text("CHANNELS", "[]")):
        channel = Channel(**entry)
        found.setdefault(channel.type, channel)
    return found


def train_channel() -> Channel:
    """The input without which there is nothing to do."""
    return channels().get("train") or fail("there is no train channel")


def client(endpoint: str = "") -> Any:
    """An S3 client with the credentials of the environment.

    The region is handed over because boto3 reads `AWS_DEFAULT_REGION` only. Buckets are addressed
    by path and checksums sent only on demand: stores other than Amazon's need both.
    """
    import boto3
    from botocore.config import Config

    config = Config(
        retries={"mode": "standard", "max_attempts": 5},
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    endpoint = endpoint or text("AWS_ENDPOINT_URL")
    region = text("AWS_REGION", "us-east-1")
    return boto3.client("s3", endpoint_url=endpoint or None, region_name=region, config=config)


def split_uri(uri: str) -> tuple[str, str, str]:
    """Scheme, bucket and key; a path has the scheme `file` and no bucket.

    What is on the web has no bucket, and its whole address as its key.
    """
    parts = urlsplit(uri)
    if parts.scheme in ("", "file"):
        return "file", "", unquote(parts.path) if parts.scheme else uri
    if parts.scheme in WEB:
        return parts.scheme, "", uri
    if parts.scheme not in OBJECT_STORES:
        known = ", ".join((*OBJECT_STORES, *WEB))
        fail(f"{uri}: this program reads {known} and file")
    # By hand: a key may hold what is a query elsewhere.
    bucket, _, key = uri.split("://", 1)[1].partition("/")
    return parts.scheme, bucket, key


def default_endpoint(scheme: str, endpoint: str) -> str:
    """Google's address is known; every other one has to be told."""
    return GOOGLE_ENDPOINT if scheme == "gs" and not endpoint else endpoint


def kind_of(name: str, channel: Channel) -> str:
    """`csv` or `parquet`, or nothing for a file that is no table."""
    if pathlib.PurePosixPath(name).name.startswith((".", "_")):
        return ""  # Marks such as `_SUCCESS`.
    wanted = channel.format.lower().rsplit("/", 1)[-1]
    by_name = FORMATS.get(pathlib.PurePosixPath(name).suffix.lower(), "")
    if not wanted:
        return by_name
    if wanted not in FORMATS.values():
        fail(f"channel {channel.name}: this program reads csv and parquet, not {channel.format}")
    return wanted if by_name in ("", wanted) else ""


def chosen_keys(key: str, keys: Iterable[str]) -> list[str]:
    """The object of this name, or all below the folder, in a fixed order.

    `data/train` must not take in `data/train-old/`, although its keys begin alike.
    """
    keys = sorted(k for k in keys if not k.endswith("/"))
    if key in keys:
        return [key]
    folder = key if not key or key.endswith("/") else f"{key}/"
    return [k for k in keys if k.startswith(folder)]


def download(url: str) -> bytes:
    """A file on the web. A server that is down for a moment is asked again, a refusal is final."""
    for attempt in range(1, WEB_ATTEMPTS + 1):
        try:
            with urlopen(url, timeout=WEB_TIMEOUT) as answer:
                return bytes(answer.read())
        except (OSError, HTTPException) as error:
            refused = isinstance(error, HTTPError) and error.code < 500 and error.code != 429
            if refused or attempt == WEB_ATTEMPTS:
                fail(f"{url}: {error}")
            time.sleep(2 ** (attempt - 1))
    raise AssertionError


def parse(kind: str, data: bytes) -> pandas.DataFrame:
    """One file as a table."""
    import pandas

    source = io.BytesIO(data)
    return pandas.read_parquet(source) if kind == "parquet" else pandas.read_csv(source)


def files(channel: Channel) -> tuple[list[str], Callable[[str], bytes]]:
    """Names of what lies at a channel's address, and how to read one."""
    scheme, bucket, key = split_uri(channel.uri)
    if scheme == "file":
        root = pathlib.Path(key)
        names = [str(path) for path in root.rglob("*") if path.is_file()]
        return names or [key], lambda name: pathlib.Path(name).read_bytes()
    if scheme in WEB:
        # Its name is the path of the address, without what follows.
        return [unquote(urlsplit(key).path)], lambda _: download(key)
    s3 = client(default_endpoint(scheme, channel.endpoint))
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
    keys = chosen_keys(key, (entry["Key"] for page in pages for entry in page.get("Contents", [])))
    return keys, lambda name: bytes(s3.get_object(Bucket=bucket, Key=name)["Body"].read())


def read_files(channel: Channel, share: tuple[int, int] = (0, 1)) -> list[pandas.DataFrame]:
    """The tables of a channel; with a share, only every so manieth file."""
    index, count = share
    names, fetch = files(channel)
    tables = [(name, kind) for name in sorted(names) if (kind := kind_of(name, channel))]
    if not tables:
        fail(f"channel {channel.name}: no CSV or Parquet file at {channel.uri}")
    if len(tables) < count:
        fail(f"channel {channel.name}: {len(tables)} files cannot be shared among {count} pods")
    return [parse(kind, fetch(name)) for name, kind in tables[index::count]]


@dataclass(frozen=True)
class Table:
    """Rows to learn from, or to be measured by."""

    features: pandas.DataFrame
    label: pandas.Series

    def shard(self, index: int, count: int) -> Table:
        """The rows of one of several pods. All get equally many, give or take one."""
        return Table(self.features.iloc[index::count], self.label.iloc[index::count])


def to_table(rows: pandas.DataFrame, channel: Channel, model: Channel | None = None) -> Table:
    """Divides columns into features and label.

    What a channel does not say is as in `model`: forms name the columns once, at the train
    channel.
    """
    label = channel.label or (model.label if model else "") or DEFAULT_LABEL
    features = list(channel.features or (model.features if model else ()))
    features = [name for name in features if name != label]
    columns = list(rows.columns)
    absent = [name for name in (*features, label) if name not in columns]
    if absent:
        fail(f"channel {channel.name}: no column {', '.join(absent)} among {columns}")
    chosen = rows[features] if features else rows.drop(columns=[label])
    odd = [str(c) for c, kind in chosen.dtypes.items() if kind.kind not in "biuf"]
    if odd:
        fail(f"channel {channel.name}: columns that are no numbers: {', '.join(odd)}")
    return Table(chosen, rows[label])


def read(channel: Channel, model: Channel | None = None, share: tuple[int, int] = (0, 1)) -> Table:
    """A channel as features and label."""
    import pandas

    rows = pandas.concat(read_files(channel, share), ignore_index=True)
    return to_table(rows, channel, model)


def read_all() -> dict[str, Table]:
    """Every channel by its type. There is always `train`."""
    model = train_channel()
    return {kind: read(channel, model) for kind, channel in channels().items()}


# Neural networks


@dataclass(frozen=True)
class Problem:
    """What a standard network learns, and how its inputs are scaled."""

    classes: Sequence[Any]
    mean: Sequence[float]
    scale: Sequence[float]

    @property
    def is_classification(self) -> bool:
        """Whether there are classes, instead of a number."""
        return bool(self.classes)

    @property
    def outputs(self) -> int:
        """Width of the network's last layer."""
        return len(self.classes) or 1

    def inputs(self, table: Table) -> numpy.ndarray:
        """Features around 0. Missing values become the mean."""
        import numpy

        values = (table.features.to_numpy("float64") - self.mean) / self.scale
        return numpy.nan_to_num(values).astype("float32")

    def labels(self, table: Table) -> numpy.ndarray:
        """Numbers of the classes, or the label as it is."""
        import numpy

        if not self.classes:
            return table.label.to_numpy("float32")
        numbers = {name: number for number, name in enumerate(self.classes)}
        unknown = sorted({str(v) for v in table.label.unique() if v not in numbers})
        if unknown:
            fail(f"classes that the train channel does not have: {', '.join(unknown)}")
        return numpy.array([numbers[value] for value in table.label], dtype="int32")


MOST_CLASSES = 100
"""More whole numbers than this are counts rather than names of classes."""


def problem_of(table: Table, task: str = "auto") -> Problem:
    """Looks at the training rows. All pods look at the same ones, so they agree."""
    label = table.label
    if task == "auto":
        fractions = label.dtype.kind == "f" and bool((label % 1 != 0).any())
        many = label.dtype.kind in "iuf" and label.nunique() > MOST_CLASSES
        task = "regression" if fractions or many else "classification"
    classes = sorted(label.unique().tolist()) if task == "classification" else []
    deviation = table.features.std(ddof=0).fillna(0.0).to_numpy("float64")
    mean = table.features.mean().fillna(0.0).to_numpy("float64")
    scale = [float(d) if d > 0 else 1.0 for d in deviation]
    return Problem(classes, [float(m) for m in mean], scale)


# Output


class Results:
    """Metrics, model and summary, below `RESULTS_PATH` and, if the form says so, `OUTPUT_URI`."""

    def __init__(self, directory: pathlib.Path | None = None, writes: bool = True) -> None:
        """Only one process of a job writes; the others say nothing."""
        self.directory = directory or pathlib.Path(text("RESULTS_PATH", "results"))
        self.writes = writes
        self.written: list[pathlib.Path] = []
        if writes:
            self.directory.mkdir(parents=True, exist_ok=True)
            # An earlier attempt's lines would mix with ours.
            self.path("metrics.jsonl").write_text("", encoding="utf-8")

    def path(self, name: str) -> pathlib.Path:
        """Where to write a file that belongs to the results."""
        path = self.directory / name
        if path not in self.written:
            self.written.append(path)
        return path

    def metrics(self, **values: Any) -> None:
        """One JSON line, to the log and to `metrics.jsonl`."""
        if self.writes:
            line = json.dumps(values)
            print(line, flush=True)
            with open(self.path("metrics.jsonl"), "a", encoding="utf-8") as lines:
                lines.write(f"{line}\n")

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Writes `summary.json` last, so that its presence means that all is there."""
        if not self.writes:
            return
        path = self.path("summary.json")
        path.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
        self.upload()
        print(json.dumps({"summary": summary}), flush=True)

    def upload(self) -> None:
        """Copies the results to `OUTPUT_URI`, if that is an object store."""
        uri = text("OUTPUT_URI")
        if not uri or uri.startswith("file://"):
            return
        scheme, bucket, prefix = split_uri(uri)
        if scheme in WEB:
            fail(f"{uri}: results go to {', '.join(OBJECT_STORES)} and file")
        s3 = client(default_endpoint(scheme, text("AWS_ENDPOINT_URL")))
        prefix = f"{prefix.rstrip('/')}/" if prefix else ""
        for path in self.written:
            s3.upload_file(str(path), bucket, prefix + path.relative_to(self.directory).as_posix())


class Checkpoints:
    """Numbered files below `CHECKPOINT_PATH`, which outlive the pods if the job has a volume."""

    def __init__(self, ending: str, keep: int | None = None) -> None:
        """`keep`: older ones are removed; without it all stay."""
        self.directory = pathlib.Path(text("CHECKPOINT_PATH", "results/checkpoints"))
        self.ending = ending
        self.keep = keep

    def all(self) -> list[tuple[int, pathlib.Path]]:
        """What there is, by number. A file of this job's name only: volumes are shared."""
        stem = f"{text('JOB_NAME', 'job')}-"
        found = []
        for path in self.directory.glob(f"{stem}*{self.ending}"):
            number = path.name.removeprefix(stem).removesuffix(self.ending)
            if number.isdecimal():
                found.append((int(number), path))
        return sorted(found)

    def newest(self) -> tuple[int, pathlib.Path] | None:
        """Where an earlier attempt got to."""
        found = self.all()
        return found[-1] if found else None

    def write(self, number: int, data: bytes) -> None:
        """A file is whole or absent: it gets its name when it is complete."""
        self.directory.mkdir(parents=True, exist_ok=True)
        name = f"{text('JOB_NAME', 'job')}-{number}{self.ending}"
        partial = self.directory / f".{name}.partial"
        partial.write_bytes(data)
        partial.replace(self.directory / name)
        for _, path in self.all()[: -self.keep] if self.keep else []:
            path.unlink(missing_ok=True)
