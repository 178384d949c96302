"""The page for people: the OpenAPI document as plain HTML, with nothing to load and no script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from fair_dispatcher.http.openapi import document
from fair_dispatcher.http.schemas import fields_of, type_name

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --dim: #777; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; border-top: 1px solid var(--line); padding-top: 1rem; font-size: 1.1rem; }
code, .method { font-family: ui-monospace, monospace; font-size: .92em; }
.method { display: inline-block; min-width: 4rem; font-weight: 700; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; }
tr { border-bottom: 1px solid var(--line); }
th { font-weight: 600; color: var(--dim); } nav a { display: block; text-decoration: none; }
a { color: inherit; } .wide { overflow-x: auto; }
"""


def html() -> str:
    """Return the page."""
    described = document()
    info = described["info"]
    operations = [
        (method.upper(), path, operation)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(info['title'])} <small>{escape(info['version'])}</small></h1>",
        f"<p>{escape(info['description'])} Send a key as <code>Authorization: Bearer fd_…</code>.",
        'For machines: <a href="/v1/openapi.json">openapi.json</a>.</p><nav>',
        *(_link(*operation) for operation in operations),
        "</nav><main>",
        *(part for operation in operations for part in _operation(described, *operation)),
        "<h1>Bodies</h1>",
        *(
            part
            for name, schema in described["components"]["schemas"].items()
            for part in _schema(name, schema)
        ),
        "</main></body></html>",
    ]
    return "\n".join(parts) + "\n"


def _link(method: str, path: str, operation: dict[str, Any]) -> str:
    return (
        f'<a href="#{operation["operationId"]}"><span class="method">{method}</span> '
        f"<code>{escape(path)}</code> {escape(operation['summary'])}</a>"
    )


def _operation(described: dict[str, Any], method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f'<h2 id="{operation["operationId"]}">'
    yield f'<span class="method">{method}</span> <code>{escape(path)}</code></h2>'
    for paragraph in operation["description"].split("\n\n"):
        yield f"<p>{_code(paragraph)}</p>"
    rows = [
        (f"<code>{escape(one['name'])}</code>", escape(one["in"]), escape(one["description"]))
        for one in operation["parameters"]
    ]
    yield _table(("parameter", "in", "what it is"), rows)
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]
        yield _table(
            ("body", ""), [(f"<code>{name}</code>", _type(one["schema"])) for name, one in content.items()]
        )
    yield _table(
        ("answer", "", "what it says"),
        [
            (status, " ".join(map(_type, _schemas(answer))), escape(answer["description"]))
            for status, answer in operation["responses"].items()
        ],
    )


def _schemas(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [one["schema"] for one in answer.get("content", {}).values()]


def _type(schema: dict[str, Any]) -> str:
    if "allOf" in schema:
        schema = schema["allOf"][0]
    if "description" in schema:
        return escape(schema["description"])
    name = type_name(schema)
    return f'<a href="#{name}">{name}</a>' if "$ref" in schema else escape(name)


def _schema(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f'<h2 id="{name}">{name}</h2><p>{escape(schema.get("description", ""))}</p>'
    rows = [
        (f"<code>{escape(field.name)}</code>", escape(field.type), escape(field.limits))
        for field in fields_of(schema)
    ]
    yield _table(("member", "type", "limits"), rows)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _code(text: str) -> str:
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts))
