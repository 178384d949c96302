"""The reference of what Python programs use, from signatures and docstrings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import griffe
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from broker_core import DispatcherSettings
from broker_core.settings import variables_of
from scripts.docs.docstrings import markdown

_ROOT = Path(__file__).resolve().parents[2]
_WIDTH = 100

_INTRODUCTION = """\
# API

<!-- Made by `make docs` from the docstrings; change those. -->

Everything here is imported from `broker_core`, the errors from `broker_core.errors`. All calls are for one
asyncio event loop; times are seconds, moments are aware UTC datetimes. The package is typed.

```python
async with open_dispatcher() as d:
    await d.publish([Message(customer="acme", payload=b"hello")])
    await d.ack(await d.receive(max_messages=100, wait=1.0))
```
"""

_SECTIONS = {
    "Dispatcher": ("open_dispatcher", "FairDispatcher"),
    "Worker": ("Worker", "Retry", "Reject"),
    "Values": (
        "Message",
        "Delivery",
        "CustomerPolicy",
        "Backlog",
        "CustomerBacklog",
        "DeadLetter",
        "Page",
        "Capabilities",
    ),
}
# What signatures above mention, by the section that explains it.
_ALIASES = {"Dispatcher": "dispatcher.Deliveries", "Worker": "worker.Handler"}
# Programs get these, they don't make them.
_NOT_CONSTRUCTED = {"FairDispatcher", "Page"}


def page() -> str:
    """Make the page."""
    package = griffe.load("broker_core", search_paths=[_ROOT], allow_inspection=False)
    errors = griffe.load("broker_core.errors", search_paths=[_ROOT], allow_inspection=False)
    parts = [_INTRODUCTION]
    for title, names in _SECTIONS.items():
        parts.append(f"## {title}\n")
        for name in names:
            parts += _object(package[name])
        if title in _ALIASES:
            parts.append(_alias(package[_ALIASES[title]]))
    parts += ["## Settings\n", *_settings(package["DispatcherSettings"])]
    parts += ["## Errors\n", *_errors(errors)]
    return "\n".join(parts).rstrip() + "\n"


def documented_names() -> set[str]:
    """Name what the page describes of `broker_core`."""
    return {name for names in _SECTIONS.values() for name in names} | {"DispatcherSettings"}


def _object(found: griffe.Object | griffe.Alias) -> Iterator[str]:
    if isinstance(found, griffe.Alias):
        found = found.final_target
    yield f"### {found.name}\n"
    if isinstance(found, griffe.Function):
        yield _code(_signature(found))
        yield _text(found)
    elif isinstance(found, griffe.Class):
        yield from _class(found)
    else:
        raise TypeError(f"{found.path} is no function and no class")


def _alias(found: griffe.Object | griffe.Alias) -> str:
    if not isinstance(found, griffe.Attribute):
        raise TypeError(f"{found.path} is no type alias")
    return f"`{found.name}` is `{found.value}`.\n"


def _class(found: griffe.Class) -> Iterator[str]:
    bases = ", ".join(str(base) for base in found.bases)
    made = f"{found.name}({bases})" if bases else found.name
    yield _code(_wrapped(f"class {made if found.name in _NOT_CONSTRUCTED else found.signature()}"))
    yield _text(found)
    for member in found.members.values():
        if member.is_alias or member.name.startswith("_"):
            continue
        if isinstance(member, griffe.Function):
            yield f"#### {found.name}.{member.name}\n"
            yield _code(_signature(member))
            yield _text(member)
        elif isinstance(member, griffe.Attribute) and "property" in member.labels:
            yield f"#### {found.name}.{member.name}\n"
            yield _code(f"{member.name}: {member.annotation}")
            yield _text(member)


def _signature(function: griffe.Function) -> str:
    begin = "async def " if "async" in function.labels else "def "
    return _wrapped(f"{begin}{function.signature()}")


def _wrapped(signature: str) -> str:
    if len(signature) <= _WIDTH:
        return signature
    begin, _, rest = signature.partition("(")
    parameters, closing, end = rest.rpartition(")")
    return "\n".join([f"{begin}(", *(f"    {one}," for one in _split(parameters)), f"{closing}{end}"])


def _split(parameters: str) -> Iterator[str]:
    depth, begin = 0, 0
    for place, char in enumerate(parameters):
        depth += (char in "([{") - (char in ")]}")
        if char == "," and depth == 0:
            yield parameters[begin:place].strip()
            begin = place + 1
    yield parameters[begin:].strip()


def _text(found: griffe.Object) -> str:
    if found.docstring is None:
        raise ValueError(f"{found.path} has no docstring")
    names = {name for name in found.members if not name.startswith("_")}
    if isinstance(found, griffe.Function | griffe.Class):
        names |= {parameter.name for parameter in found.parameters}
    return markdown(found.docstring.value, names) + "\n"


def _code(text: str) -> str:
    return f"```python\n{text}\n```\n"


def _settings(found: griffe.Object | griffe.Alias) -> Iterator[str]:
    yield f"`{found.name}`: {found.docstring.value if found.docstring else ''}\n"
    yield "| setting | variable | default | allowed | meaning |\n|---|---|---|---|---|"
    for name, field in DispatcherSettings.model_fields.items():
        variable = variables_of(name, field)[0]
        yield f"| `{name}` | `{variable}` | {_default(field)} | {_allowed(field)} | {field.description} |"
    yield ""


def _default(field: FieldInfo) -> str:
    return "" if field.default is PydanticUndefined else f"`{field.default}`"


def _allowed(field: FieldInfo) -> str:
    limits = {
        name: getattr(rule, name) for rule in field.metadata for name in ("ge", "le") if hasattr(rule, name)
    }
    return f"{limits['ge']:,}–{limits['le']:,}" if len(limits) == 2 else ""


def _errors(module: griffe.Object | griffe.Alias) -> Iterator[str]:
    for found in _classes(module):
        bases = ", ".join(str(base) for base in found.bases)
        yield f"### {found.name}\n"
        yield _code(f"class {found.name}({bases})")
        yield _text(found)
        if (value := _retryable(found)) is not None:
            yield f"`retryable`: {value}\n"


def _classes(module: griffe.Object | griffe.Alias) -> Iterable[griffe.Class]:
    return [member for member in module.members.values() if isinstance(member, griffe.Class)]


def _retryable(found: griffe.Class) -> str | None:
    attribute = found.all_members.get("retryable")
    value = str(attribute.value) if isinstance(attribute, griffe.Attribute) else ""
    return value if value in {"True", "False"} else None
