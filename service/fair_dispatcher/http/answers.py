"""Answers that are ready to be sent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from fair_dispatcher.http.asgi import Send
from fair_dispatcher.http.problems import MEDIA_TYPE, Problem
from fair_dispatcher.http.wire import encode


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, a body of one media type, and further headers."""

    status: int
    body: bytes = field(default=b"", repr=False)
    media_type: bytes = b"application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    async def send(self, send: Send, request_id: str) -> None:
        """Send it all."""
        headers = [(b"x-request-id", request_id.encode()), (b"cache-control", b"no-store")]
        if self.status != 204:
            headers.append((b"content-type", self.media_type))
            headers.append((b"content-length", b"%d" % len(self.body)))
        headers += [(name.encode(), value.encode("latin-1")) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


def json_answer(document: msgspec.Struct, status: int = 200) -> Answer:
    """Answer with a document as JSON."""
    return Answer(status, encode(document))


def problem_answer(problem: Problem, request_id: str) -> Answer:
    """Answer with a problem document."""
    headers: Mapping[str, str] = problem.headers
    if problem.retry_after is not None:
        headers = {**headers, "retry-after": str(max(1, math.ceil(problem.retry_after)))}
    return Answer(problem.kind.status, problem.body(request_id), MEDIA_TYPE.encode(), headers)
