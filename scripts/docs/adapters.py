"""The page about adapters: what each keeps, from its declaration, and its settings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path

from broker_core.adapter import BrokerAdapter, Capabilities
from broker_core.model import CustomerPolicy
from scripts.docs.shipped import BROKERS, EXTRAS, adapters, allowed_in, default_of, own_settings

_TEMPLATE = Path(__file__).with_name("adapters.template.md")

_MEANING = {
    "fairness_scope": "fair over all consumers of a namespace, or within each consumer",
    "lease_enforced_by": "who takes back a lease that has ended",
    "attempts": "how attempts are counted when a consumer crashes",
    "backlog": "how true the counts are at every moment",
    "dedup": "how far a repeated (customer, `Message.id`) is recognised",
    "policies": "field of `CustomerPolicy`",
    "scheduled": "`Message.not_before`",
    "ttl": "`Message.expires_at`",
    "priorities": "`Message.priority`",
    "max_customers": "customers with something waiting, at a time",
    "takeover_seconds": "how soon after a consumer's death others have its messages",
    "residue": "what stays in the broker when everything is acked",
}


def page() -> str:
    """Make the page."""
    found = adapters()
    parts = {
        "installing": _installing(),
        "capabilities": _capabilities(found),
        "settings": _settings(found),
    }
    template = _TEMPLATE.read_text("utf-8")
    return re.sub(r"\{\{ (\w+) \}\}", lambda place: "\n".join(parts[place[1]]).rstrip(), template)


def _installing() -> Iterator[str]:
    yield "| `BROKER` | broker | versions | install |\n|---|---|---|---|"
    for name, (broker, versions) in BROKERS.items():
        extra = f"[{name}]" if name in EXTRAS else ""
        yield f"| `{name}` | {broker} | {versions} | `pip install 'fair-dispatcher{extra}'` |"


def _capabilities(found: dict[str, type[BrokerAdapter]]) -> Iterator[str]:
    yield f"| capability | meaning | {' | '.join(f'`{name}`' for name in found)} |"
    yield f"|---|---|{'---|' * len(found)}"
    kept = [adapter.capabilities for adapter in found.values()]
    for field in fields(Capabilities):
        if field.name == "policies":
            yield from _policies(kept)
        else:
            yield _row(f"`{field.name}`", field.name, [getattr(one, field.name) for one in kept])


def _policies(kept: Sequence[Capabilities]) -> Iterator[str]:
    for field in fields(CustomerPolicy):
        yield _row(f"policy `{field.name}`", "policies", [field.name in one.policies for one in kept])


def _row(title: str, capability: str, values: Sequence[object]) -> str:
    return f"| {title} | {_MEANING[capability]} | {' | '.join(map(_value, values))} |"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:  # takeover_seconds
        return "when the lease ends"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _settings(found: dict[str, type[BrokerAdapter]]) -> Iterator[str]:
    for name, adapter in found.items():
        yield f"### {name}\n"
        yield "| setting | variable | default | allowed | meaning |\n|---|---|---|---|---|"
        for setting, variable, field in own_settings(adapter.settings_type):
            default = f"`{text}`" if (text := default_of(field)) else ""
            yield f"| `{setting}` | `{variable}` | {default} | {allowed_in(field)} | {field.description} |"
        yield ""
