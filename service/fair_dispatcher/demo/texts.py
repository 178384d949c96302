"""Texts as platforms send them, by language and kind; `{…}` are filled in by the traffic generator.

Codes are written in Latin digits, since phones recognise them so; other numbers in the language's digits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Texts:
    """What is sent by whom.

    templates: by language, then by kind, or `kind:trade` where a trade has its own.
    trades, months: how a trade or a month is called, by language.
    """

    templates: Mapping[str, Mapping[str, tuple[str, ...]]]
    trades: Mapping[str, Mapping[str, str]]
    months: Mapping[str, tuple[str, ...]]

    def of(self, language: str, kind: str, trade: str) -> tuple[str, ...]:
        """Return the templates of that kind for that trade."""
        own = self.templates[language]
        return own[f"{kind}:{trade}"] if f"{kind}:{trade}" in own else own[kind]


def load_texts() -> Texts:
    """Read the texts that the package brings along."""
    found = json.loads(files(__package__).joinpath("texts.json").read_text("utf-8"))
    return Texts(
        {
            language: {kind: tuple(templates) for kind, templates in kinds.items()}
            for language, kinds in found["templates"].items()
        },
        found["trades"],
        {language: tuple(months) for language, months in found["months"].items()},
    )
