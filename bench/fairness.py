"""Judges an order of hand-overs: how far customers with something waiting came apart.

An order is a list of groups. Within a group the order is not known, so windows begin and end between groups;
where every group has one hand-over, every window is looked at. Weights and costs are 1.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations

Group = Sequence[str]


def worst_gap(groups: Sequence[Group]) -> int:
    """Return the largest |Sᵢ − Sⱼ| of two customers over any window in which both had something waiting.

    All customers are ready from the start, until their last hand-over.
    """
    places: defaultdict[str, list[int]] = defaultdict(list)
    for number, group in enumerate(groups):
        for customer in group:
            places[customer].append(number)
    worst = 0
    for i, j in combinations(places.values(), 2):
        end = min(i[-1], j[-1])
        # Within a larger group the first to be drained may have been so before the other was served.
        worst = max(worst, _gap(i, j, end + 1 if len(groups[end]) == 1 else end))
    return worst


def _gap(first: Sequence[int], second: Sequence[int], end: int) -> int:
    # Each hand-over as twice its group, plus one for the second customer: sorting two sorted runs is linear.
    events = [2 * place for place in first if place < end]
    events += [2 * place + 1 for place in second if place < end]
    events.sort()
    ahead = highest = lowest = 0
    group = -1
    for event in events:
        if event >> 1 != group:
            group = event >> 1
            highest = max(highest, ahead)
            lowest = min(lowest, ahead)
        ahead += -1 if event & 1 else 1
    return max(highest, ahead) - min(lowest, ahead)


def worst_jain(groups: Sequence[Group], window: int) -> float:
    """Return the lowest Jain index of all windows of that many hand-overs in which all had something waiting.

    A window is as many whole groups as it takes. 1.0 if there is none.
    """
    drained = _first_drained(groups)
    served = Counter({customer: 0 for group in groups for customer in group})
    sum_of_squares = size = start = 0
    worst = 1.0
    for group in groups[:drained]:
        for customer in group:
            sum_of_squares += 2 * served[customer] + 1
            served[customer] += 1
        size += len(group)
        while size - len(groups[start]) >= window:
            for customer in groups[start]:
                served[customer] -= 1
                sum_of_squares -= 2 * served[customer] + 1
            size -= len(groups[start])
            start += 1
        if size >= window:
            worst = min(worst, size * size / (len(served) * sum_of_squares))
    return worst


def _first_drained(groups: Sequence[Group]) -> int:
    last = {customer: number for number, group in enumerate(groups) for customer in group}
    return min(last.values(), default=0)


def by_order(batches: Iterable[tuple[int, Sequence[str]]], *, strict: bool) -> list[Group]:
    """Return the groups of batches with their place in the order: each hand-over one if no place repeats."""
    groups: list[list[str]] = []
    previous: int | None = None
    for place, customers in sorted(batches, key=lambda batch: batch[0]):
        if strict:
            groups += [[customer] for customer in customers]
        elif place == previous:
            groups[-1] += customers
        else:
            groups.append(list(customers))
        previous = place
    return list(groups)
