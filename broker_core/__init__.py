"""Divides the messages of many customers fairly among consumers, over whichever broker is configured."""

from broker_core.adapter import Capabilities
from broker_core.dispatcher import FairDispatcher
from broker_core.factory import open_dispatcher
from broker_core.model import (
    Backlog,
    CustomerBacklog,
    CustomerPolicy,
    DeadLetter,
    Delivery,
    Message,
    Page,
)
from broker_core.settings import DispatcherSettings
from broker_core.worker import Reject, Retry, Worker

__all__ = [
    "Backlog",
    "Capabilities",
    "CustomerBacklog",
    "CustomerPolicy",
    "DeadLetter",
    "Delivery",
    "DispatcherSettings",
    "FairDispatcher",
    "Message",
    "Page",
    "Reject",
    "Retry",
    "Worker",
    "open_dispatcher",
]
