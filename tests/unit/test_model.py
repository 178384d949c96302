from __future__ import annotations

import dataclasses

import pytest

from broker_core import Backlog, CustomerPolicy, Message, Page


def test_values_can_not_be_changed() -> None:
    for value, name in ((Message("a"), "customer"), (Backlog(), "ready"), (CustomerPolicy(), "weight")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, name, 1)


def test_messages_do_not_share_their_headers() -> None:
    assert Message("a").headers is not Message("a").headers


def test_a_payload_is_not_shown() -> None:
    assert "secret" not in repr(Message("a", b"secret", {"token": "secret"}))


def test_a_page_is_a_sequence_with_a_cursor() -> None:
    page = Page([1, 2, 3], "more")
    assert list(page) == [1, 2, 3]
    assert (len(page), page[0], page[1:], page.cursor) == (3, 1, [2, 3], "more")
    assert repr(page) == "Page([1, 2, 3], cursor='more')"
