"""Every error that crosses the public interface, one root, each saying whether trying again can help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class DispatcherError(Exception):
    """Root of all errors of this package; `retryable` says whether the same call may succeed later."""

    retryable: bool = False


class ConfigurationError(DispatcherError, ValueError):
    """A setting is wrong or missing; the text names the variable, the value and what is allowed."""


class InvalidArgument(DispatcherError, ValueError):
    """An argument is outside its documented range; nothing was sent to the broker."""


class InvalidMessage(InvalidArgument):
    """A message can't be published as it is; nothing of its batch was stored.

    `index` is the place of the message in the batch.
    """

    def __init__(self, reason: str, index: int = 0) -> None:
        super().__init__(f"message {index}: {reason}")
        self.reason = reason
        self.index = index


class Unsupported(DispatcherError):
    """The chosen adapter doesn't offer what was asked for; nothing was changed."""


class Closed(DispatcherError):
    """The dispatcher is closed, or was never opened; no verb works on it."""


class BrokerUnavailable(DispatcherError):
    """The broker can't be reached, doesn't answer in time or refuses us.

    `retryable` is False where waiting can't help (a wrong password, missing rights).
    """

    def __init__(self, reason: str, *, retryable: bool = True) -> None:
        super().__init__(reason)
        self.retryable = retryable


class BrokerFull(DispatcherError):
    """The broker has no room for new messages; nothing was stored, consuming goes on."""

    retryable = True


class BacklogFull(DispatcherError):
    """The customer's backlog is at its limit; nothing was stored."""

    retryable = True


class PublishFailed(DispatcherError):
    """A batch was stored in part, or it isn't known whether it was.

    Every index of the batch is in exactly one of
    `stored` (index → id), `rejected` (index → error) and `unknown` (may or may not be stored).
    Publishing the unknown ones again is safe if their `Message.id` was set.
    """

    def __init__(
        self,
        stored: Mapping[int, str],
        rejected: Mapping[int, DispatcherError],
        unknown: Sequence[int],
    ) -> None:
        super().__init__(
            f"{len(stored)} messages stored, {len(rejected)} rejected, {len(unknown)} unknown: "
            "publish again those that are not in `stored`; set Message.id to make that safe"
        )
        self.stored = dict(stored)
        self.rejected = dict(rejected)
        self.unknown = list(unknown)
        self.retryable = bool(unknown) or any(error.retryable for error in rejected.values())


class LeaseLost(DispatcherError):
    """These deliveries are no longer the caller's; nothing of theirs was changed.

    `lost` holds their receipts; the other deliveries of the same call took effect.
    """

    def __init__(self, lost: Sequence[str]) -> None:
        super().__init__(
            f"{len(lost)} leases have ended: the messages belong to another consumer or are gone"
        )
        self.lost = list(lost)
