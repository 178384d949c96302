"""The handler that the workers of compose/ call: put yours here, or mount another folder (HANDLERS)."""

from __future__ import annotations

import logging

from broker_core import Delivery

log = logging.getLogger(__name__)


async def handle(delivery: Delivery) -> None:
    """Say what was delivered; returning acks it. It may be delivered again: make what you do repeatable."""
    log.info(
        "handled %s of %s, attempt %d, %d bytes",
        delivery.id,
        delivery.customer,
        delivery.attempt,
        len(delivery.message.payload),
    )
