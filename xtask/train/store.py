"""The object store of `cargo xtask train`: a local server that speaks S3, with real tables.

`serve` prints its address, and that of a plain web server with the same tables, and lives until its
standard input ends. `fetch` brings home what a training wrote.
"""

from __future__ import annotations

import argparse
import functools
import io
import pathlib
import sys
import tempfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pandas

INPUT_BUCKET = "datasets"
OUTPUT_BUCKET = "models"
VALIDATION_SHARE = 0.25
FILES = 4
"""Parts of a table that several pods may share."""


def client(endpoint: str) -> Any:
    """The server asks nobody who they are; a client wants to say it anyway."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="store",
        aws_secret_access_key="store",
    )


def tables() -> dict[str, pandas.DataFrame]:
    """The tables that come with scikit-learn, so that nothing has to be fetched."""
    from sklearn import datasets

    return {
        "breast-cancer": datasets.load_breast_cancer(as_frame=True).frame,
        "diabetes": datasets.load_diabetes(as_frame=True).frame,
        "iris": datasets.load_iris(as_frame=True).frame,
    }


def fill(s3: Any, web: pathlib.Path) -> None:
    """Each table as CSV, and the training rows once more as a folder of Parquet files."""
    for bucket in (INPUT_BUCKET, OUTPUT_BUCKET):
        s3.create_bucket(Bucket=bucket)

    def put(key: str, data: bytes) -> None:
        s3.put_object(Bucket=INPUT_BUCKET, Key=key, Body=data)
        path = web / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    for name, table in tables().items():
        # Mixed, because iris comes sorted by its label; the same way each time.
        table = table.sample(frac=1, random_state=1).reset_index(drop=True)
        held_out = int(len(table) * VALIDATION_SHARE)
        for part, rows in (("validation", table[:held_out]), ("train", table[held_out:])):
            put(f"{name}/{part}.csv", rows.to_csv(index=False).encode())
        train = table[held_out:]
        for number in range(FILES):
            data = io.BytesIO()
            train[number::FILES].to_parquet(data, index=False)
            put(f"{name}/train/part-{number}.parquet", data.getvalue())
        # What other tools leave behind must not be taken for a table.
        put(f"{name}/train/_SUCCESS", b"")


def serve() -> None:
    """Starts the server on a port of its own choice."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    with tempfile.TemporaryDirectory() as folder:
        fill(client(endpoint), pathlib.Path(folder))
        handler = functools.partial(SimpleHTTPRequestHandler, directory=folder)
        web = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=web.serve_forever, daemon=True).start()
        print(endpoint, f"http://127.0.0.1:{web.server_port}", flush=True)
        sys.stdin.read()
        web.shutdown()
    server.stop()


def fetch(endpoint: str, bucket: str, prefix: str, to: pathlib.Path) -> None:
    """Everything below a prefix."""
    s3 = client(endpoint)
    for entry in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", []):
        path = to / entry["Key"].removeprefix(prefix)
        path.parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(bucket, entry["Key"], str(path))


def main() -> None:
    """Reads the command."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve")
    fetching = commands.add_parser("fetch")
    for name in ("endpoint", "bucket", "prefix"):
        fetching.add_argument(name)
    fetching.add_argument("to", type=pathlib.Path)
    arguments = vars(parser.parse_args())
    if arguments.pop("command") == "serve":
        serve()
    else:
        fetch(**arguments)


if __name__ == "__main__":
    main()
