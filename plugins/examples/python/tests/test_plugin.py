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
            ({"depth": 0}, "out-of-range"),
            ({"depth": 6.5}, "type"),
            ({"use_best_model": 1}, "type"),
            ({"learning_rate": 0}, "out-of-range"),
            ({"loss_function": "rmse"}, "not-allowed"),
            ({"n_estimators": 1}, "unknown-field"),
        ]:
            self.assertEqual([c for _, c in kit.violations(schema, value)], [code], value)
        self.assertEqual(kit.violations(schema, {"learning_rate": None}), [])

    def test_equal_jobs_give_equal_bytes(self):
        form = plugin.EXAMPLES[-1]
        self.assertEqual(json.dumps(kit.answer(form)), json.dumps(kit.answer(form)))

    def test_a_parameter_of_another_choice_is_not_handed_on(self):
        for given, absent in [
            ({"max_leaves": 9}, "max_leaves"),
            ({"grow_policy": "Depthwise", "max_leaves": 9}, "max_leaves"),
            ({"bagging_temperature": 0.5}, "bagging_temperature"),
        ]:
            self.assertNotIn(absent, self.parameters(given), given)
        self.assertEqual(self.parameters({"grow_policy": "Lossguide"})["max_leaves"], 31)

    def test_a_loss_carries_its_own_parameter(self):
        found = self.parameters({"loss_function": "Quantile", "quantile_alpha": 0.9})
        self.assertEqual(found["loss_function"], "Quantile:alpha=0.9")

    def parameters(self, hyperparameters):
        form = {**plugin.EXAMPLES[0], "hyperparameters": {"catboost": hyperparameters}}
        name, (workload,) = kit.answer(form)
        self.assertEqual(name, "plan.json")
        env = workload["document"]["spec"]["template"]["spec"]["containers"][0]["env"]
        return json.loads(next(v["value"] for v in env if v["name"] == "CATBOOST_PARAMS"))


if __name__ == "__main__":
    unittest.main()
