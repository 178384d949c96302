"""Makes Markdown of docstrings as this project writes them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

_TERMS = r"([a-z_]+(?:, [a-z_]+)*): "
_EXPLANATION = re.compile(_TERMS)
_NEXT_EXPLANATION = re.compile(rf"(?<=\.) (?={_TERMS})")


def markdown(docstring: str, names: Collection[str] = ()) -> str:
    """Return the text with explanations of `names` ("name: …", "name, name: …") as a list.

    An explanation begins a line or follows a sentence. It ends where another begins, with its paragraph,
    and where a sentence begins a line.
    """
    paragraphs = docstring.split("\n\n")
    return "\n\n".join("\n".join(block) for one in paragraphs for block in _blocks(_lines(one, names), names))


def _lines(paragraph: str, names: Collection[str]) -> list[str]:
    def split(found: re.Match[str]) -> str:
        return "\n" if _explained(found[1], names) else " "

    return [line for one in paragraph.splitlines() for line in _NEXT_EXPLANATION.sub(split, one).splitlines()]


def _explained(terms: str, names: Collection[str]) -> bool:
    return all(name in names for name in terms.split(", "))


def _blocks(lines: Sequence[str], names: Collection[str]) -> Iterator[list[str]]:
    listing = False
    block: list[str] = []
    for line in lines:
        found = _EXPLANATION.match(line)
        begins = found is not None and _explained(found[1], names)
        if block and begins != listing and (begins or (block[-1].endswith(".") and line[:1].isupper())):
            yield block
            block = []
        if begins and found is not None:
            terms = ", ".join(f"`{name}`" for name in found[1].split(", "))
            block.append(f"- {terms}: {line[found.end() :]}")
            listing = True
        else:
            listing = listing and bool(block)
            block.append(f"  {line}" if listing else line)
    yield block
