"""Tests of what the training programs share; run by `cargo xtask train` and `cargo xtask test`."""

from __future__ import annotations

import json
import os
import pathlib
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from unittest import mock

import pandas

import trainlib
from trainlib import Channel


class Settings(unittest.TestCase):
    """Variables as the plugins write them."""

    def test_what_is_left_open_is_empty(self) -> None:
        """An empty variable and a missing one mean the same."""
        with mock.patch.dict(os.environ, {"HP_A": "", "HP_B": "3", "HP_C": "true", "HP_D": "1,2"}):
            self.assertIsNone(trainlib.hp_int("a"))
            self.assertIsNone(trainlib.hp_float("absent"))
            self.assertEqual(trainlib.hp_int("b"), 3)
            self.assertTrue(trainlib.hp_bool("c"))
            self.assertEqual(trainlib.hp_list("d"), ["1", "2"])
            self.assertRaises(SystemExit, trainlib.hp_needed, "a")

    def test_the_first_channel_of_a_type_counts(self) -> None:
        """As in the plugins."""
        entries = [
            {"name": "a", "type": "train", "uri": "s3://b/1"},
            {"name": "b", "type": "train", "uri": "s3://b/2"},
        ]
        with mock.patch.dict(os.environ, {"CHANNELS": json.dumps(entries)}):
            self.assertEqual(trainlib.train_channel().uri, "s3://b/1")
        with mock.patch.dict(os.environ, {"CHANNELS": "[]"}):
            self.assertRaises(SystemExit, trainlib.train_channel)


class Addresses(unittest.TestCase):
    """Where data is."""

    def test_addresses_are_taken_apart(self) -> None:
        """Keys may hold what is special elsewhere."""
        self.assertEqual(trainlib.split_uri("s3://b/a/c?d#e"), ("s3", "b", "a/c?d#e"))
        self.assertEqual(trainlib.split_uri("storage://b"), ("storage", "b", ""))
        self.assertEqual(trainlib.split_uri("file:///a%20b"), ("file", "", "/a b"))
        self.assertEqual(trainlib.split_uri("/a/b"), ("file", "", "/a/b"))
        url = "https://data.example/a.csv?version=1"
        self.assertEqual(trainlib.split_uri(url), ("https", "", url))
        self.assertRaises(SystemExit, trainlib.split_uri, "az://b/a")

    def test_a_folder_is_not_its_neighbour(self) -> None:
        """Keys that begin alike may lie elsewhere."""
        keys = ["a/b.csv", "a-old/b.csv", "a/", "a/c.csv"]
        self.assertEqual(trainlib.chosen_keys("a", keys), ["a/b.csv", "a/c.csv"])
        self.assertEqual(trainlib.chosen_keys("a/", keys), ["a/b.csv", "a/c.csv"])
        self.assertEqual(trainlib.chosen_keys("a/c.csv", keys), ["a/c.csv"])
        self.assertEqual(len(trainlib.chosen_keys("", keys)), 3)

    def test_the_format_of_the_form_decides(self) -> None:
        """Names decide only where the form says nothing."""

        def kind(name: str, wanted: str = "") -> str:
            return trainlib.kind_of(name, Channel("c", "train", "", format=wanted))

        self.assertEqual(kind("a/b.csv"), "csv")
        self.assertEqual(kind("a/b.PARQUET"), "parquet")
        self.assertEqual(kind("a/b.txt"), "")
        self.assertEqual(kind("a/b", "text/csv"), "csv")
        self.assertEqual(kind("a/b.csv", "parquet"), "")
        self.assertEqual(kind("a/_SUCCESS", "csv"), "")
        self.assertRaises(SystemExit, kind, "a/b", "recordio")


class Handler(BaseHTTPRequestHandler):
    """Fails as often as it is told, and then serves one table."""

    failures: ClassVar[list[int]] = []
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:  # The name is the library's.
        """Answers one request."""
        self.asked.append(self.path)
        status = self.failures.pop(0) if self.failures else 200
        self.send_response(status)
        self.end_headers()
        self.wfile.write(b"a,y\n1,0\n2,1\n" if status == 200 else b"")

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class Web(unittest.TestCase):
    """Files on the web, from a real server."""

    def setUp(self) -> None:
        """Starts it, without failures."""
        Handler.failures, Handler.asked = [], []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def channel(self, name: str, wanted: str = "") -> Channel:
        """A channel of the server."""
        address = f"http://127.0.0.1:{self.server.server_port}/{name}"
        return Channel("t", "train", address, format=wanted, label="y")

    def test_the_name_of_the_path_is_that_of_the_file(self) -> None:
        """What follows it, such as a version, is sent and means nothing here."""
        table = trainlib.read(self.channel("data/a.csv?version=2"))
        self.assertEqual(table.features["a"].tolist(), [1, 2])
        self.assertEqual(Handler.asked, ["/data/a.csv?version=2"])
        self.assertEqual(len(trainlib.read(self.channel("data", "csv")).label), 2)
        with self.assertRaisesRegex(SystemExit, "no CSV or Parquet file"):
            trainlib.read(self.channel("data"))

    def test_a_server_that_is_down_for_a_moment_is_asked_again(self) -> None:
        """A refusal is final, and so is the last attempt."""
        with mock.patch.object(trainlib.time, "sleep"):
            Handler.failures = [503, 429]
            self.assertEqual(len(trainlib.read(self.channel("a.csv")).label), 2)
            self.assertEqual(len(Handler.asked), 3)
            Handler.failures = [404]
            with self.assertRaisesRegex(SystemExit, "404"):
                trainlib.read(self.channel("a.csv"))
            self.assertEqual(len(Handler.asked), 4)
            Handler.failures = [500] * trainlib.WEB_ATTEMPTS
            with self.assertRaisesRegex(SystemExit, "500"):
                trainlib.read(self.channel("a.csv"))


class Tables(unittest.TestCase):
    """Rows and columns."""

    ROWS = pandas.DataFrame({"a": [1, 2, 3], "b": [4.0, 5.0, 6.0], "y": [0, 1, 0]})

    def test_columns_are_those_of_the_form(self) -> None:
        """Other channels are read like the train channel."""
        model = Channel("train", "train", "", features=["b"], label="y")
        table = trainlib.to_table(self.ROWS, Channel("v", "validation", ""), model)
        self.assertEqual(list(table.features.columns), ["b"])
        self.assertEqual(table.label.tolist(), [0, 1, 0])

    def test_without_features_all_but_the_label_count(self) -> None:
        """The label never explains itself."""
        table = trainlib.to_table(self.ROWS, Channel("t", "train", "", label="y"))
        self.assertEqual(list(table.features.columns), ["a", "b"])

    def test_what_cannot_be_learnt_from_is_named(self) -> None:
        """The message is all that a user sees."""
        with self.assertRaisesRegex(SystemExit, "no column target"):
            trainlib.to_table(self.ROWS, Channel("t", "train", ""))
        odd = self.ROWS.assign(c=["x", "y", "z"])
        with self.assertRaisesRegex(SystemExit, "no numbers: c"):
            trainlib.to_table(odd, Channel("t", "train", "", label="y"))

    def test_shards_are_all_rows_once(self) -> None:
        """Pods must neither share rows nor leave any out."""
        table = trainlib.to_table(self.ROWS, Channel("t", "train", "", label="y"))
        shares = [table.shard(index, 2).features["a"].tolist() for index in range(2)]
        self.assertEqual(shares, [[1, 3], [2]])

    def test_files_of_a_folder_are_shared(self) -> None:
        """Each pod reads its own; more pods than files is an error."""
        with tempfile.TemporaryDirectory() as folder:
            for name, part in (("1.csv", self.ROWS[:1]), ("2.csv", self.ROWS[1:])):
                part.to_csv(pathlib.Path(folder, name), index=False)
            pathlib.Path(folder, "notes.txt").write_text("no table", encoding="utf-8")
            channel = Channel("t", "train", folder, label="y")
            self.assertEqual(len(trainlib.read(channel).label), 3)
            self.assertEqual(len(trainlib.read(channel, share=(1, 2)).label), 2)
            self.assertRaises(SystemExit, trainlib.read, channel, share=(0, 3))


class Problems(unittest.TestCase):
    """What a label looks like."""

    def table(self, label: list[object]) -> trainlib.Table:
        """A table with a column that never changes and one with a gap."""
        rows = len(label)
        features = pandas.DataFrame({"a": [1.0] * rows, "b": [None, *range(1, rows)]})
        return trainlib.Table(features, pandas.Series(label))

    def test_words_and_few_whole_numbers_are_classes(self) -> None:
        """Fractions are not, and neither are many numbers."""
        problem = trainlib.problem_of(self.table(["no", "yes", "no"]))
        self.assertEqual(problem.classes, ["no", "yes"])
        self.assertEqual(problem.labels(self.table(["yes", "no"])).tolist(), [1, 0])
        self.assertEqual(trainlib.problem_of(self.table([3, 5, 3])).classes, [3, 5])
        self.assertFalse(trainlib.problem_of(self.table([0.5, 1.0])).is_classification)
        self.assertFalse(trainlib.problem_of(self.table(list(range(101)))).is_classification)
        self.assertFalse(trainlib.problem_of(self.table([3, 5]), "regression").is_classification)

    def test_inputs_are_finite(self) -> None:
        """Neither a constant nor a gap makes what a network cannot compute with."""
        table = self.table([0, 1, 0])
        inputs = trainlib.problem_of(table).inputs(table)
        self.assertEqual(inputs.tolist(), [[0.0, 0.0], [0.0, -1.0], [0.0, 1.0]])

    def test_a_class_that_was_not_learnt_is_named(self) -> None:
        """It would be measured as another one."""
        problem = trainlib.problem_of(self.table([0, 1, 0]))
        self.assertRaisesRegex(SystemExit, "2", problem.labels, self.table([0, 2]))


class Outputs(unittest.TestCase):
    """Files that stay."""

    def test_results_are_lines_and_a_summary(self) -> None:
        """And those of an earlier attempt are gone."""
        with tempfile.TemporaryDirectory() as folder, mock.patch("builtins.print") as log:
            for attempt in range(2):
                results = trainlib.Results(pathlib.Path(folder))
                results.metrics(round=attempt)
                results.finish({"rounds": attempt})
            lines = pathlib.Path(folder, "metrics.jsonl").read_text(encoding="utf-8")
            self.assertEqual([json.loads(line) for line in lines.splitlines()], [{"round": 1}])
            summary = json.loads(pathlib.Path(folder, "summary.json").read_text(encoding="utf-8"))
            self.assertEqual(summary, {"rounds": 1})
            self.assertIn(mock.call('{"round": 1}', flush=True), log.mock_calls)

    def test_only_one_process_writes(self) -> None:
        """The others leave nothing."""
        with tempfile.TemporaryDirectory() as folder:
            results = trainlib.Results(pathlib.Path(folder, "absent"), writes=False)
            results.metrics(round=1)
            results.finish({})
            self.assertFalse(results.directory.exists())

    def test_the_newest_checkpoints_stay(self) -> None:
        """Files of other jobs on the same volume are not ours."""
        with tempfile.TemporaryDirectory() as folder:
            environment = {"CHECKPOINT_PATH": folder, "JOB_NAME": "a"}
            with mock.patch.dict(os.environ, environment):
                pathlib.Path(folder, "a-b-7.pt").write_bytes(b"another job's")
                checkpoints = trainlib.Checkpoints(".pt", keep=2)
                self.assertIsNone(checkpoints.newest())
                for number in (1, 2, 10):
                    checkpoints.write(number, str(number).encode())
                self.assertEqual([number for number, _ in checkpoints.all()], [2, 10])
                newest = checkpoints.newest()
                assert newest is not None
                self.assertEqual(newest[1].read_bytes(), b"10")


if __name__ == "__main__":
    unittest.main()
