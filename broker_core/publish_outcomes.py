"""What a publish raises when not everything was stored."""

from __future__ import annotations

from collections.abc import Sequence

from broker_core.adapter import OutcomeUnknown
from broker_core.errors import DispatcherError, PublishFailed


def publish_error(outcomes: Sequence[str | DispatcherError]) -> DispatcherError:
    """Return the one cause if nothing was stored for that cause alone, else PublishFailed with each outcome.

    outcomes: of each message, its id if it was stored; at least one is an error.
    """
    stored = {index: outcome for index, outcome in enumerate(outcomes) if isinstance(outcome, str)}
    unknown = [index for index, outcome in enumerate(outcomes) if isinstance(outcome, OutcomeUnknown)]
    rejected = {
        index: outcome
        for index, outcome in enumerate(outcomes)
        if isinstance(outcome, DispatcherError) and not isinstance(outcome, OutcomeUnknown)
    }
    causes = list(rejected.values())
    if not stored and not unknown and len({type(cause) for cause in causes}) == 1:
        return causes[0]
    failure = PublishFailed(stored, rejected, unknown)
    failure.__cause__ = next(outcome for outcome in outcomes if isinstance(outcome, DispatcherError))
    return failure
