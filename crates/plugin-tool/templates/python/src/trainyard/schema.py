"""Parameters as fields of a dataclass: one declaration gives the JSON Schema that users see and
the object that the converter reads, so the two cannot disagree.

    @dataclass(frozen=True)
    class Hyperparameters:
        epochs: int = parameter(10, "Epochs", "Passes over the data.", minimum=1)

Types: `bool`, `int`, `float`, `str`, each also as `T | None`, and `list[str]`.
"""

import dataclasses
import types
import typing

_WORDS = {bool: "boolean", int: "integer", float: "number", str: "string"}


def parameter(
    default,
    title: str,
    description: str,
    *,
    name: str | None = None,
    group: str | None = None,
    unit: str | None = None,
    choices: list | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    below: float | None = None,
    min_length: int | None = None,
    pattern: str | None = None,
    visible_when: dict | None = None,
):
    """A field with everything that a form needs. `above` and `below` are exclusive bounds; `name`
    is the name in JSON, where it differs from Python's."""
    words = {
        "title": title,
        "description": description,
        "enum": choices,
        "minimum": minimum,
        "exclusiveMinimum": above,
        "maximum": maximum,
        "exclusiveMaximum": below,
        "minLength": min_length,
        "pattern": pattern,
        "x-group": group,
        "x-unit": unit,
        "x-visible-when": visible_when,
    }
    metadata = {"name": name, "words": {k: v for k, v in words.items() if v is not None}}
    if isinstance(default, list):
        return dataclasses.field(default_factory=lambda: list(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def schema_of(cls: type, title: str) -> dict:
    """The JSON Schema 2020-12 of a dataclass made of parameters."""
    hints = typing.get_type_hints(cls)
    defaults = cls()
    properties = {}
    for field in dataclasses.fields(cls):
        words = dict(field.metadata["words"])
        schema = {"title": words.pop("title"), "description": words.pop("description")}
        schema.update(_type_of(hints[field.name]))
        schema.update(words)
        if "enum" in schema and "null" in schema["type"]:
            schema["enum"] = [*schema["enum"], None]
        schema["default"] = getattr(defaults, field.name)
        properties[_name(field)] = schema
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def read(cls: type, values: dict):
    """The dataclass with these values; what is absent takes its default."""
    names = {_name(field): field.name for field in dataclasses.fields(cls)}
    return cls(**{names[name]: value for name, value in values.items() if name in names})


def items(parameters) -> list[tuple[str, object]]:
    """Every parameter with its name in JSON and its value, in the order of declaration."""
    fields = dataclasses.fields(parameters)
    return [(_name(field), getattr(parameters, field.name)) for field in fields]


def _name(field: dataclasses.Field) -> str:
    return field.metadata["name"] or field.name


def _type_of(hint) -> dict:
    if typing.get_origin(hint) is list:
        (item,) = typing.get_args(hint)
        return {"type": "array", "items": _type_of(item)}
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        (inner,) = (arm for arm in typing.get_args(hint) if arm is not type(None))
        inner = _type_of(inner)
        return {**inner, "type": [inner["type"], "null"]}
    return {"type": _WORDS[hint]}
