"""The ASGI application: finds the operation, lets in who may, and answers in every case."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from time import perf_counter
from urllib.parse import unquote_to_bytes

import structlog

from broker_core import checks
from broker_core.errors import DispatcherError, InvalidArgument
from fair_dispatcher.http import problems
from fair_dispatcher.http.answers import Answer, problem_answer
from fair_dispatcher.http.asgi import Receive, Scope, Send
from fair_dispatcher.http.bodies import Body, ClientGone
from fair_dispatcher.http.operations import CUSTOMER, OPERATIONS, Binding, Operation
from fair_dispatcher.http.problems import Problem, problem_of
from fair_dispatcher.http.service import Call, Service
from fair_dispatcher.http.trace import request_id_of
from fair_dispatcher.keys.model import Key

_BEARER = re.compile(rb"bearer +([\x21-\x7e]+) *", re.IGNORECASE)

_log = structlog.stdlib.get_logger(__name__)


class App:
    """Serves the operations over one Service."""

    def __init__(self, service: Service, operations: Sequence[Operation] = OPERATIONS) -> None:
        self._service = service
        self._routes: dict[tuple[str, ...], dict[str, Operation]] = {}
        for operation in operations:
            self._routes.setdefault(tuple(operation.path.split("/")), {})[operation.method] = operation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        begun = perf_counter()
        headers = dict(scope["headers"])
        request_id, _ = request_id_of(headers)
        body = Body(headers, receive, self._service.budget)
        call = Call(self._service, scope, receive, headers, body, request_id)
        try:
            answer = await self._answer(call)
        except ClientGone:
            return
        finally:
            body.release()
        await answer.send(send, request_id)
        _log.debug(
            "answered",
            request_id=request_id,
            method=scope["method"],
            status=answer.status,
            key=None if call.key is None else call.key.id,
            milliseconds=round((perf_counter() - begun) * 1000, 2),
            **call.logged,
        )

    async def _answer(self, call: Call) -> Answer:
        try:
            return await self._serve(call)
        except Problem as problem:
            return self._problem(call, problem)
        except DispatcherError as error:
            return self._problem(call, problem_of(error), error)
        except ClientGone:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary of the request: whoever asked gets an answer
            return self._problem(call, Problem(problems.INTERNAL), error)

    def _problem(self, call: Call, problem: Problem, error: Exception | None = None) -> Answer:
        if problem.kind.status >= 500:
            _log.warning(
                "a request failed",
                request_id=call.request_id,
                problem=problem.kind.name,
                exc_info=error if problem.kind is problems.INTERNAL else None,
                reason=str(error or problem),
            )
        return problem_answer(problem, call.request_id)

    async def _serve(self, call: Call) -> Answer:
        operation, customer = self._find(call.scope)
        if operation.scope is not None:
            call.key = self._let_in(call.headers, operation)
            self._service.rates.use(call.key)
        if operation.binding is Binding.PATH:
            call.customer = _customer(customer)
            if not call.may_touch(call.customer):
                # The same for customers that are there and for those that are not.
                raise Problem(problems.UNKNOWN_CUSTOMER)
        return await operation.endpoint(call)

    def _let_in(self, headers: Mapping[bytes, bytes], operation: Operation) -> Key | None:
        if self._service.anonymous:
            return None
        match = _BEARER.fullmatch(headers.get(b"authorization", b""))
        key = None if match is None else self._service.keys.current.authenticate(match[1].decode())
        if key is None:
            raise Problem(problems.UNAUTHENTICATED, headers={"www-authenticate": "Bearer"})
        if operation.scope is not None and operation.scope not in key.scopes:
            raise Problem(problems.FORBIDDEN, f"it needs a key with the scope {operation.scope.value}")
        return key

    def _find(self, scope: Scope) -> tuple[Operation, str]:
        # The address as it came: a customer's name may hold an encoded slash.
        parts = scope["raw_path"].decode("ascii", "replace").split("/")
        customer = ""
        if len(parts) > 3 and parts[2] == "customers":
            customer, parts[3] = parts[3], CUSTOMER
        methods = self._routes.get(tuple(parts))
        if methods is None:
            raise Problem(problems.NOT_FOUND)
        method = scope["method"]
        operation = methods.get("GET" if method == "HEAD" else method)
        if operation is None:
            raise Problem(problems.METHOD_NOT_ALLOWED, headers={"allow": ", ".join(sorted(methods))})
        return operation, customer


def _customer(encoded: str) -> str:
    try:
        customer = unquote_to_bytes(encoded).decode()
        checks.check_customer(customer)
    except UnicodeDecodeError:
        raise Problem(problems.INVALID, "the customer's name has to be UTF-8") from None
    except InvalidArgument as error:
        raise Problem(problems.INVALID, str(error)) from None
    return customer
