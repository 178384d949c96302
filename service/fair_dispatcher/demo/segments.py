"""Counts the SMS segments of a text, which is what a message costs (GSM 03.38, 3GPP TS 23.040)."""

from __future__ import annotations

_GSM7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM7_ESCAPED = frozenset("^{}\\[~]|€\f")

_GSM7_SINGLE, _GSM7_PART = 160, 153
_UCS2_SINGLE, _UCS2_PART = 70, 67


def segments(text: str) -> int:
    """Return how many segments carry the text, at least 1.

    One holds 160 septets of GSM-7 (153 where there are several), or 70 (67) units of UCS-2 if a
    character is not in GSM-7. Characters of its extension take two septets.
    """
    if _GSM7.issuperset(text):
        return _parts(len(text), _GSM7_SINGLE, _GSM7_PART)
    if (_GSM7 | _GSM7_ESCAPED).issuperset(text):
        septets = len(text) + sum(character in _GSM7_ESCAPED for character in text)
        return _parts(septets, _GSM7_SINGLE, _GSM7_PART)
    return _parts(len(text.encode("utf-16-le")) // 2, _UCS2_SINGLE, _UCS2_PART)


def _parts(units: int, single: int, part: int) -> int:
    return 1 if units <= single else -(-units // part)
