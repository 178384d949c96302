"""The judge of the benchmark's fairness figures is right on orders that can be judged by hand."""

from __future__ import annotations

from itertools import permutations

import pytest

from bench.fairness import by_order, worst_gap, worst_jain


def singles(order: str) -> list[str]:
    return list(order)


@pytest.mark.parametrize(
    ("order", "gap"),
    [
        ("abababab", 1),
        ("aabbaabb", 2),
        ("aaabbb", 3),
        ("aabbbbaab", 4),
        ("abbbbb", 1),  # a is drained by its first hand-over
        ("bbbbba", 5),
        ("abcabcabc", 1),
        ("aaaa", 0),
    ],
)
def test_gap_of_a_strict_order(order: str, gap: int) -> None:
    assert worst_gap(singles(order)) == gap


def test_gap_is_the_largest_over_all_pairs_and_windows() -> None:
    for order in set(permutations("aaabbbcc")):
        expected = 0
        last = {customer: len(order) - order[::-1].index(customer) for customer in "abc"}
        for i, j in ("ab", "ac", "bc"):
            ready = order[: min(last[i], last[j])]
            for start in range(len(ready)):
                for end in range(start, len(ready) + 1):
                    window = ready[start:end]
                    expected = max(expected, abs(window.count(i) - window.count(j)))
        assert worst_gap(order) == expected


def test_order_within_a_group_does_not_count() -> None:
    assert worst_gap(["ab", "ba", "aabb", "ab"]) == 0
    assert worst_gap(["aa", "bb", "ab"]) == 2


def test_group_that_drains_a_customer_says_nothing_about_what_follows() -> None:
    assert worst_gap(["ab", "abbbbbb"]) == 0


def test_jain_of_equal_service_is_one_and_of_unequal_less() -> None:
    assert worst_jain(singles("ab" * 50), window=10) == 1.0
    assert worst_jain(singles("aab" * 50), window=9) == pytest.approx(81 / (2 * (36 + 9)))
    assert worst_jain(singles("ab" * 20 + "aaaabbbb" + "ab" * 20), window=4) == pytest.approx(0.5)


def test_jain_looks_only_at_windows_in_which_all_have_something_waiting() -> None:
    assert worst_jain(singles("ababab" + "b" * 50), window=4) == 1.0
    assert worst_jain(singles("b" * 50 + "ababab"), window=4) == pytest.approx(0.5)


def test_batches_of_one_place_become_one_group() -> None:
    batches = [(2, ["c"]), (1, ["a"]), (1, ["b"])]
    assert by_order(batches, strict=False) == [["a", "b"], ["c"]]
    assert by_order([(2, ["c", "d"]), (1, ["a"])], strict=True) == [["a"], ["c"], ["d"]]
