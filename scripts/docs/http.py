"""The reference of the HTTP service, from its OpenAPI document and its settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from broker_core.settings import SERVICE_PREFIX, variables_of
from fair_dispatcher.http.openapi import document
from fair_dispatcher.http.problems import KINDS
from fair_dispatcher.http.schemas import fields_of, type_name
from fair_dispatcher.http.settings import ServiceSettings

_INTRODUCTION = """\
# HTTP

<!-- Made by `make docs` from the operations and settings themselves; change those. -->

`fairdispatch serve` gives programs in any language what a dispatcher does: [how to run it](serving.md),
[keys and limits](security.md), [examples](../examples/http/README.md). A running service shows this page at
`/docs` and the same for machines (OpenAPI 3.1) at `/v1/openapi.json`.

A key goes into `Authorization: Bearer fd_…`. Bodies are JSON in UTF-8 unless said otherwise; a member that
isn't known is refused. Answers may get further members. Times are RFC 3339 in UTC, durations seconds. A
customer's name in an address is percent-encoded, a slash as `%2F`, a dot that is the whole name as `%2E`.
"""


def page() -> str:
    """Make the page."""
    described = document()
    parts = [_INTRODUCTION, "| | address | |\n|---|---|---|"]
    for method, path, operation in _operations(described):
        anchor = (
            f"{method} {path}".lower().replace("/", "").replace("{", "").replace("}", "").replace(".", "")
        )
        parts.append(f"| `{method}` | [`{path}`](#{anchor.replace(' ', '-')}) | {operation['summary']} |")
    for method, path, operation in _operations(described):
        parts += _operation(method, path, operation)
    parts.append("\n## Bodies")
    for name, schema in described["components"]["schemas"].items():
        parts += _schema(name, schema)
    parts += _problems()
    parts += _settings(ServiceSettings.model_fields)
    return "\n".join(parts).rstrip() + "\n"


def _operations(described: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def _operation(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"\n## {method} {path}\n"
    yield operation["description"]
    rows = [
        (f"`{one['name']}`", one["in"], one["description"])
        for one in operation["parameters"]
        if one["name"] not in ("X-Request-Id", "customer")
    ]
    yield from _table(("parameter", "in", ""), rows)
    if "requestBody" in operation:
        needed = "" if operation["requestBody"]["required"] else " (may be left out)"
        content = operation["requestBody"]["content"].items()
        yield from _table(
            (f"body{needed}", ""), [(f"`{name}`", _type(one["schema"])) for name, one in content]
        )
    rows = [
        (
            status,
            ", ".join(_type(one["schema"]) for one in answer.get("content", {}).values()),
            answer["description"],
        )
        for status, answer in operation["responses"].items()
    ]
    yield from _table(("answer", "", ""), rows)


def _type(schema: dict[str, Any]) -> str:
    if "allOf" in schema:
        return "[Problem](#problem)"
    if "description" in schema:
        return str(schema["description"])
    name = type_name(schema)
    return f"[{name}](#{name.lower()})" if "$ref" in schema else name


def _schema(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f"\n### {name}\n"
    yield str(schema.get("description", ""))
    rows = [(f"`{field.name}`", field.type, field.limits.replace("|", "\\|")) for field in fields_of(schema)]
    yield from _table(("member", "type", "limits"), rows)


def _problems() -> Iterator[str]:
    yield "\n## Problems\n"
    yield "An error is a [problem document](#problem) (RFC 9457) of the type `application/problem+json`. Its"
    yield "`type` never changes: `urn:fair-dispatcher:problem:` and one of these. Where waiting helps,"
    yield "`Retry-After` says how long."
    yield from _table(
        ("problem", "status", ""), [(f"`{one.name}`", str(one.status), one.title) for one in KINDS]
    )


def _settings(fields: dict[str, FieldInfo]) -> Iterator[str]:
    yield "\n## Settings\n"
    yield "Variables of the environment; the options of `fairdispatch serve` win over them. One that isn't"
    yield "known is refused. The dispatcher's own are in [API](api.md#settings)."
    rows = [
        (
            f"`{variables_of(name, field, SERVICE_PREFIX)[0]}`",
            _default(field.default),
            field.description or "",
        )
        for name, field in fields.items()
    ]
    yield from _table(("variable", "default", ""), rows)


def _default(value: object) -> str:
    if value is None:
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if rows:
        yield "\n| " + " | ".join(headings) + " |"
        yield "|" + "---|" * len(headings)
        yield from ("| " + " | ".join(row) + " |" for row in rows)


if __name__ == "__main__":
    (Path(__file__).resolve().parents[2] / "docs" / "http.md").write_text(page(), encoding="utf-8")
