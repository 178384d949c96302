"""Puts JSON schemas of bodies into words, for pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_LIMITS = {
    "minimum": "at least",
    "maximum": "at most",
    "minLength": "characters: at least",
    "maxLength": "characters: at most",
    "maxItems": "entries: at most",
    "pattern": "of the form",
    "default": "else",
}


@dataclass(frozen=True, slots=True)
class Field:
    """A member of a body."""

    name: str
    type: str
    limits: str


def fields_of(schema: dict[str, Any]) -> Iterator[Field]:
    """Yield the members of an object."""
    required = schema.get("required", [])
    for name, member in schema.get("properties", {}).items():
        limits = [member["description"]] if "description" in member else []
        limits += [
            f"{words} {member[key]}"
            for key, words in _LIMITS.items()
            if member.get(key) not in (None, {}, "")
        ]
        for option in member.get("anyOf", []):
            limits += [f"{words} {option[key]}" for key, words in _LIMITS.items() if key in option]
        yield Field(
            name, type_name(member), ", ".join([*(["required"] if name in required else []), *limits])
        )


def type_name(schema: dict[str, Any]) -> str:
    """Name a type: what is listed, what a reference names."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(type_name(option) for option in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {type_name(schema['items'])}"
    kind = str(schema.get("type", "anything"))
    if kind == "string" and schema.get("format") == "date-time":
        return "time (RFC 3339)"
    if (
        kind == "object"
        and "additionalProperties" in schema
        and isinstance(schema["additionalProperties"], dict)
    ):
        return f"object of {type_name(schema['additionalProperties'])}"
    return kind
