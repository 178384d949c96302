"""Makes or reads the traffic of a messaging platform: who sends which text when; one seed, one traffic."""

from __future__ import annotations

import bisect
import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

from fair_dispatcher.demo.segments import segments
from fair_dispatcher.demo.texts import Texts, load_texts

T = TypeVar("T")

SAMPLE_SEED = 7
SAMPLE_MESSAGES = 20_000
DURATION_SECONDS = 600.0

_TEXTS: Texts = load_texts()
_CUSTOMERS = 400
_CAMPAIGN_SHARE = 0.3
# Of single messages, by minute; the sixth is a rush.
_MINUTES = (0.8, 0.9, 1.0, 1.0, 1.1, 2.0, 1.2, 1.0, 0.9, 0.8)
# What a trade sends, as often as it stands here.
_KINDS: Mapping[str, tuple[str, ...]] = {
    "bank": ("bank", "bank", "bank", "otp"),
    "shop": ("delivery", "delivery", "otp", "reminder"),
    "courier": ("delivery",),
    "clinic": ("reminder", "reminder", "reminder", "otp"),
    "school": ("reminder", "reminder", "otp"),
    "travel": ("reminder", "otp"),
    "food": ("delivery", "delivery", "otp"),
    "app": ("otp", "otp", "otp", "reminder"),
}
_CAMPAIGNERS = frozenset({"shop", "school", "travel", "food"})
_LANGUAGES = ("fa", "fa", "fa", "fa", "fa", "fa", "en", "en", "en", "both")
_PERSIAN_DIGITS = str.maketrans("0123456789,", "۰۱۲۳۴۵۶۷۸۹٬")


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message event. at: seconds since the beginning. cost: SMS segments of the payload, 1 or more."""

    at: float
    customer: str
    payload: str
    headers: Mapping[str, str]
    cost: int

    def to_json(self) -> str:
        """Write as one line of NDJSON, without the line's end."""
        return json.dumps(
            {
                "at": self.at,
                "customer": self.customer,
                "payload": self.payload,
                "headers": self.headers,
                "cost": self.cost,
            },
            ensure_ascii=False,
            separators=(",", ":"),
        )


@dataclass(frozen=True, slots=True)
class Customer:
    """Who sends: a name, a trade and a language (`fa`, `en` or `both`)."""

    name: str
    trade: str
    number: int
    language: str


class Dice:
    """Draws from a seed. Uses `Random.random` alone: its sequence is the same in every Python version."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random  # noqa: S311 - nothing here is secret

    def between(self, low: float, high: float) -> float:
        """Draw a number from low up to high."""
        return low + self._random() * (high - low)

    def whole(self, low: int, high: int) -> int:
        """Draw an int from low to high, both included."""
        return low + int(self._random() * (high - low + 1))

    def pick(self, options: Sequence[T]) -> T:
        """Draw one of the options."""
        return options[int(self._random() * len(options))]

    def weighted(self, cumulated: Sequence[float]) -> int:
        """Draw an index by cumulated weights."""
        return bisect.bisect_right(cumulated, self._random() * cumulated[-1], hi=len(cumulated) - 1)


def generate(seed: int = SAMPLE_SEED, messages: int = SAMPLE_MESSAGES) -> list[Arrival]:
    """Make ten minutes of traffic, sorted by time: single messages and campaigns of 400 customers."""
    dice = Dice(seed)
    customers = list(_customers(dice))
    arrivals: list[Arrival] = []
    for size, customer in _campaigns(dice, customers, int(messages * _CAMPAIGN_SHARE)):
        arrivals.extend(campaign(dice, customer, size))
    zipf = list(accumulate(1 / rank for rank in range(1, len(customers) + 1)))
    minutes = list(accumulate(_MINUTES))
    while len(arrivals) < messages:
        at = (dice.weighted(minutes) + dice.between(0, 1)) * DURATION_SECONDS / len(_MINUTES)
        customer = customers[dice.weighted(zipf)]
        arrivals.append(_arrival(dice, at, customer, dice.pick(_KINDS[customer.trade])))
    return sorted(arrivals, key=lambda arrival: arrival.at)


def campaign(dice: Dice, customer: Customer, size: int) -> Iterator[Arrival]:
    """Make one customer's campaign: the same text to many, two to six a second."""
    begin = dice.between(0, DURATION_SECONDS * 0.8)
    length = min(size / dice.between(2, 6), DURATION_SECONDS - begin)
    language = _language(dice, customer)
    template = dice.pick(_TEXTS.of(language, "campaign", customer.trade))
    payload = _fill(dice, template, customer, language)
    for _ in range(size):
        headers = {"kind": "campaign", "lang": language}
        yield Arrival(
            _moment(dice.between(begin, begin + length)), customer.name, payload, headers, segments(payload)
        )


def flood(seed: int, messages: int) -> list[Arrival]:
    """Make one more customer's campaign without any pause: all of it arrives at 0."""
    customer = Customer("flooder", "shop", 900, "fa")
    dice = Dice(seed)
    payload = _fill(dice, dice.pick(_TEXTS.of("fa", "campaign", customer.trade)), customer, "fa")
    headers = {"kind": "campaign", "lang": "fa"}
    return [Arrival(0.0, customer.name, payload, headers, segments(payload))] * messages


def write(arrivals: Iterable[Arrival]) -> Iterator[str]:
    """Write as lines of NDJSON."""
    return (arrival.to_json() + "\n" for arrival in arrivals)


def read(path: Path) -> list[Arrival]:
    """Read NDJSON that `write` made. Raises OSError, or ValueError that names the line that is none."""
    arrivals = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                fields = json.loads(line)
                arrivals.append(
                    Arrival(
                        float(fields["at"]),
                        str(fields["customer"]),
                        str(fields["payload"]),
                        {str(name): str(value) for name, value in fields["headers"].items()},
                        int(fields["cost"]),
                    )
                )
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise ValueError(f"{path}, line {number}: not an arrival ({error!r})") from error
    return arrivals


def _customers(dice: Dice) -> Iterator[Customer]:
    trades = tuple(_KINDS)
    for rank in range(1, _CUSTOMERS + 1):
        # The two largest are always of these trades, so that every seed has a bank and a shop of weight.
        trade = ("bank", "shop")[rank - 1] if rank <= 2 else dice.pick(trades)
        language = "fa" if rank <= 2 else dice.pick(_LANGUAGES)
        yield Customer(f"{trade}-{rank:03}", trade, rank, language)


def _campaigns(dice: Dice, customers: Sequence[Customer], messages: int) -> Iterator[tuple[int, Customer]]:
    senders = [customer for customer in customers if customer.trade in _CAMPAIGNERS]
    weights = list(accumulate(1 / rank for rank in range(1, len(senders) + 1)))
    while messages > 0:
        size = min(messages, dice.whole(60, 300))
        messages -= size
        yield size, senders[dice.weighted(weights)]


def _arrival(dice: Dice, at: float, customer: Customer, kind: str) -> Arrival:
    language = _language(dice, customer)
    payload = _fill(dice, dice.pick(_TEXTS.of(language, kind, customer.trade)), customer, language)
    return Arrival(_moment(at), customer.name, payload, {"kind": kind, "lang": language}, segments(payload))


def _language(dice: Dice, customer: Customer) -> str:
    return dice.pick(("fa", "en")) if customer.language == "both" else customer.language


def _moment(at: float) -> float:
    return round(at, 3)


def _fill(dice: Dice, template: str, customer: Customer, language: str) -> str:
    digits = {
        "minutes": str(dice.whole(2, 45)),
        "amount": f"{dice.whole(20, 9000) * 1000:,}",
        "balance": f"{dice.whole(50, 900_000) * 1000:,}",
        "price": str(dice.whole(5, 90)),
        "percent": str(dice.whole(1, 14) * 5),
        "points": str(dice.whole(100, 5000)),
        "time": f"{dice.whole(7, 22):02}:{dice.whole(0, 59):02}",
        "date": f"{dice.whole(1, 29)} {dice.pick(_TEXTS.months[language])}",
        "account": f"{dice.whole(1000, 9999)}***{dice.whole(10, 99)}",
        "card": f"***{dice.whole(1000, 9999)}",
        "brand": f"{_TEXTS.trades[customer.trade][language]} {customer.number}",
    }
    if language == "fa":
        digits = {slot: text.translate(_PERSIAN_DIGITS) for slot, text in digits.items()}
    return template.format_map(
        digits
        | {
            "code": f"{dice.whole(0, 999_999):06}",
            "order": str(dice.whole(1_000_000, 9_999_999)),
            "voucher": "".join(dice.pick("ABCDEFGHKLMNPRSTXYZ23456789") for _ in range(7)),
        }
    )
