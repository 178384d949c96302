"""The contract on this adapter."""

from __future__ import annotations

from broker_core.conformance.suite import *  # noqa: F403 - the suite's classes are tests of this module
