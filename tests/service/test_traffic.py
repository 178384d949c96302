"""The traffic is reproducible, has the shape it promises, and costs what its texts cost."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from statistics import median

import pytest

from fair_dispatcher.demo.segments import segments
from fair_dispatcher.demo.texts import load_texts
from fair_dispatcher.demo.traffic import Arrival, flood, generate, read, write

TRAFFIC = Path(__file__).parents[2] / "examples" / "traffic"


@pytest.fixture(scope="module")
def sample() -> list[Arrival]:
    return read(TRAFFIC / "sample.ndjson")


def test_the_generator_makes_the_sample_byte_for_byte() -> None:
    command = [sys.executable, str(TRAFFIC / "generator.py"), "--seed", "7", "--messages", "20000"]
    made = subprocess.run(command, capture_output=True, check=True, timeout=60)
    assert made.stdout == (TRAFFIC / "sample.ndjson").read_bytes()


def test_another_seed_makes_other_traffic_and_the_same_seed_the_same() -> None:
    assert generate(1, 300) == generate(1, 300)
    assert generate(1, 300) != generate(2, 300)
    assert len(generate(1, 1)) == 1


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    arrivals = generate(3, 200)
    (tmp_path / "traffic.ndjson").write_text("".join(write(arrivals)), encoding="utf-8")
    assert read(tmp_path / "traffic.ndjson") == arrivals


@pytest.mark.parametrize("line", ["no json", "[]", '{"at": 1}', '{"at": "x", "customer": "a"}'])
def test_a_line_that_is_no_arrival_is_named(tmp_path: Path, line: str) -> None:
    good = "".join(write(generate(3, 1)))
    (tmp_path / "traffic.ndjson").write_text(f"{good}{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match="line 2"):
        read(tmp_path / "traffic.ndjson")


def test_customers_follow_zipf(sample: list[Arrival]) -> None:
    messages = Counter(arrival.customer for arrival in sample)
    shares = [count / len(sample) for _, count in messages.most_common()]
    assert 380 <= len(messages) <= 400
    assert 0.10 <= shares[0] <= 0.20
    assert 0.05 <= shares[1] <= shares[0]
    assert sum(shares[:40]) > 0.5
    assert median(messages.values()) < 30


def test_texts_are_persian_and_english_of_real_length(sample: list[Arrival]) -> None:
    persian = [
        arrival
        for arrival in sample
        if any("\u0600" <= character <= "\u06ff" for character in arrival.payload)
    ]
    assert 0.7 <= len(persian) / len(sample) <= 0.9
    assert {arrival.headers["lang"] for arrival in persian} == {"fa"}
    assert 60 <= median(len(arrival.payload) for arrival in sample) <= 130
    kinds = Counter(arrival.headers["kind"] for arrival in sample)
    assert set(kinds) == {"otp", "campaign", "delivery", "reminder", "bank"}
    assert min(kinds.values()) / len(sample) > 0.1
    assert not any("{" in arrival.payload for arrival in sample)


def test_arrivals_fill_ten_minutes_in_order_with_a_rush(sample: list[Arrival]) -> None:
    times = [arrival.at for arrival in sample]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= 600
    minutes = Counter(int(at // 60) for at in times)
    assert set(minutes) == set(range(10))
    assert max(minutes, key=lambda minute: minutes[minute]) == 5
    assert minutes[5] > 1.5 * len(sample) / 10


def test_cost_is_the_number_of_segments(sample: list[Arrival]) -> None:
    assert all(arrival.cost == segments(arrival.payload) for arrival in sample)
    assert {arrival.cost for arrival in sample} >= {1, 2, 3}


def test_there_are_many_templates() -> None:
    templates = [
        text for kinds in load_texts().templates.values() for texts in kinds.values() for text in texts
    ]
    assert len(set(templates)) >= 40


def test_a_flood_is_one_customer_at_one_moment() -> None:
    arrivals = flood(7, 50)
    assert len(arrivals) == 50
    assert {(arrival.customer, arrival.at) for arrival in arrivals} == {("flooder", 0.0)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("س" * 70, 1),
        ("س" * 71, 2),
        ("س" * 134, 2),
        ("س" * 135, 3),
        ("🎁" * 35, 1),
        ("🎁" * 36, 2),
        ("a" * 69 + "–", 1),
    ],
)
def test_segments(text: str, expected: int) -> None:
    assert segments(text) == expected
