"""What the status of a Job means."""

import unittest

import kit  # noqa: F401  It makes the sources importable.
from trainyard.batch_job import interpret


def condition(kind, reason="", status="True"):
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": "As it\nis.",
        "lastTransitionTime": "2026-01-01T10:00:00Z",
    }


def read(status):
    return interpret({"metadata": {"name": "iris"}, "status": status})


class Interpret(unittest.TestCase):
    def test_each_status_has_one_meaning(self):
        for status, state, reason in [
            (None, "unknown", "NotReported"),
            ({}, "pending", "Accepted"),
            ({"active": 2, "ready": 0}, "pending", "Starting"),
            ({"active": 2, "ready": 1}, "running", "Running"),
            ({"active": 2}, "running", "Running"),
            ({"ready": 0, "succeeded": 1}, "running", "Finishing"),
            ({"conditions": [condition("Suspended")]}, "suspended", "Suspended"),
            ({"conditions": [condition("Suspended", status="False")]}, "pending", "Accepted"),
            ({"conditions": [condition("SuccessCriteriaMet")]}, "running", "Finishing"),
            ({"conditions": [condition("FailureTarget")]}, "running", "Failing"),
            ({"conditions": [condition("Complete")]}, "succeeded", "Succeeded"),
            ({"conditions": [condition("Failed", "X y")]}, "failed", "Xy"),
        ]:
            report = read(status)
            self.assertEqual((report.state, report.reason), (state, reason), status)

    def test_a_failure_has_a_class_a_time_and_the_clusters_words(self):
        for reason, failure in [
            ("DeadlineExceeded", "timeout"),
            ("BackoffLimitExceeded", "user-code"),
            ("PodFailurePolicy", "user-code"),
            ("Novel", "infrastructure"),
        ]:
            report = read({"conditions": [condition("Failed", reason)]})
            self.assertEqual((report.failure, report.reason), (failure, reason))
            self.assertTrue(report.message.endswith("The cluster says: As it is."))
            self.assertEqual(report.finished_at, "2026-01-01T10:00:00Z")

    def test_no_status_breaks_it(self):
        for status in [
            [],
            {"conditions": 3, "active": "x", "ready": -1},
            {"conditions": [None, 1, {}, {"type": 7, "status": "True"}]},
            {"conditions": [{"type": "Failed", "status": "True", "reason": 7, "message": []}]},
        ]:
            self.assertIn(read(status).state, ("unknown", "pending", "failed"), status)
        self.assertEqual(interpret({}).state, "unknown")
        self.assertEqual(interpret({"status": {}, "metadata": 3}).logs, [])


if __name__ == "__main__":
    unittest.main()
