"""Judges an order of hand-overs: how far customers with something waiting came apart.

An order is a list of groups. Within a group the order is not known, so windows begin and end between groups;
where every group has one hand-over, every window is looked at. Weights and costs are 1.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from itertools import combinations

Group = Sequence[str]


def last_groups(groups: Sequence[Group]) -> dict[str, int]:
    """Return in which group each customer, all of them ready from the start, got its last message."""
    last: dict[str, int] = {}
    for number, group in enumerate(groups):
        for customer in group:
            last[customer] = number
    return last


def worst_gap(groups: Sequence[Group]) -> int:
    """Return the largest |Sᵢ − Sⱼ| of two customers over any window in which both had something waiting."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    for number, group in enumerate(groups):
        for customer in group:
            places[customer].append(number)
    return max((_gap(places[i], places[j]) for i, j in combinations(places, 2)), default=0)


def _gap(first: Sequence[int], second: Sequence[int]) -> int:
    # Each hand-over as twice its group, plus one for the second customer: sorting two sorted runs is linear.
    end = min(first[-1], second[-1])
    events = sorted(
        [2 * place for place in first if place <= end] + [2 * place + 1 for place in second if place <= end]
    )
    ahead = highest = lowest = 0
    group = -1
    for event in events:
        if event >> 1 != group:
            group = event >> 1
            if ahead > highest:
                highest = ahead
            elif ahead < lowest:
                lowest = ahead
        ahead += 1 - 2 * (event & 1)
    return max(highest, ahead) - min(lowest, ahead)


def worst_jain(groups: Sequence[Group], window: int) -> float:
    """Return the lowest Jain index of the smallest windows with that many hand-overs.

    Each window counts the customers that had something waiting throughout. Once fewer than two are left there
    is nothing to compare.
    """
    last = last_groups(groups)
    served: Counter[str] = Counter(dict.fromkeys(last, 0))
    total = sum_of_squares = size = 0
    worst = 1.0
    inside: deque[Group] = deque()
    for number, group in enumerate(groups):
        inside.append(group)
        size += len(group)
        for customer in group:
            sum_of_squares += 2 * served[customer] + 1
            served[customer] += 1
            total += 1
        while size - len(inside[0]) >= window:
            gone = inside.popleft()
            size -= len(gone)
            for customer in gone:
                if customer in served:
                    served[customer] -= 1
                    sum_of_squares -= 2 * served[customer] + 1
                    total -= 1
        for customer in {one for one in group if last[one] == number}:
            count = served.pop(customer)
            total -= count
            sum_of_squares -= count * count
        if len(served) < 2:
            break
        if size >= window and total:
            worst = min(worst, total * total / (len(served) * sum_of_squares))
    return worst


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
