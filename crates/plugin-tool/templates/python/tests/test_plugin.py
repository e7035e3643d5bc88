"""The converter, natively. Run: python3 -m unittest discover tests"""

import json
import unittest

import kit
import plugin


class Plugin(unittest.TestCase):
    # After a wanted change: TRAINYARD_UPDATE_CASES=1 python3 -m unittest discover tests
    def test_every_case_gives_what_it_says(self):
        kit.check_cases(self)

    def test_every_example_can_be_converted(self):
        for example in plugin.EXAMPLES:
            with self.subTest(example["jobName"]):
                self.assertEqual(kit.answer(example)[0], "plan.json")

    def test_every_parameter_has_what_a_form_needs(self):
        for schema in (kit.hyperparameters_schema(), kit.settings_schema()):
            defaults = {name: rule["default"] for name, rule in schema["properties"].items()}
            self.assertEqual(kit.violations(schema, defaults), [])
        for name, rule in kit.hyperparameters_schema()["properties"].items():
            self.assertTrue(rule["title"] and rule["description"] and rule["x-group"], name)

    def test_the_schema_refuses_what_it_should(self):
        schema = kit.hyperparameters_schema()
        for value, code in [
            ({"epochs": 0}, "out-of-range"),
            ({"epochs": 1.5}, "type"),
            ({"epochs": True}, "type"),
            ({"learning_rate": 0}, "out-of-range"),
            ({"optimizer": "lbfgs"}, "not-allowed"),
            ({"epoch": 1}, "unknown-field"),
        ]:
            self.assertEqual([c for _, c in kit.violations(schema, value)], [code], value)
        self.assertEqual(kit.violations(schema, {"early_stopping_patience": None}), [])

    def test_equal_jobs_give_equal_bytes(self):
        form = plugin.EXAMPLES[-1]
        self.assertEqual(json.dumps(kit.answer(form)), json.dumps(kit.answer(form)))


if __name__ == "__main__":
    unittest.main()
