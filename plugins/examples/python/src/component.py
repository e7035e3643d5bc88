"""The exports of the component. Nothing to change here: the plugin is in `plugin.py`."""

import plugin
from trainyard import export
from wit_world import exports


class Converter(exports.Converter):
    """The interface `converter` of the contract."""

    def describe(self):
        return export.describe(plugin)

    def validate(self, job: str):
        return export.validate(plugin, job)

    def convert(self, job: str):
        return export.convert(plugin, job)

    def interpret(self, object: str):
        return export.interpret(plugin, object)
