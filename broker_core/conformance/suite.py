"""All tests of the contract, to be taken over with `from broker_core.conformance.suite import *`."""

from broker_core.conformance.attempts import TestAttempts
from broker_core.conformance.broker_restart import TestBrokerRestart
from broker_core.conformance.broker_silence import TestBrokerSilence
from broker_core.conformance.cancellation import TestCancellation
from broker_core.conformance.connection_loss import TestConnectionLoss
from broker_core.conformance.consumer_death import TestConsumerDeath
from broker_core.conformance.crash_expiry import TestCrashAndExpiry
from broker_core.conformance.dead_letters import TestDeadLetters
from broker_core.conformance.dedup import TestDedup
from broker_core.conformance.fairness import TestFairness
from broker_core.conformance.fairness_bound import TestFairnessBound
from broker_core.conformance.fairness_scale import TestFairnessAtScale
from broker_core.conformance.fencing import TestFencing
from broker_core.conformance.giving_back import TestGivingBack
from broker_core.conformance.introspection import TestIntrospection
from broker_core.conformance.isolation import TestIsolation
from broker_core.conformance.leases import TestLeases
from broker_core.conformance.life_cycle import TestLifeCycle
from broker_core.conformance.limits import TestLimits
from broker_core.conformance.memory_use import TestMemoryUse
from broker_core.conformance.order import TestOrder
from broker_core.conformance.publish_receive import TestPublishReceive
from broker_core.conformance.releases import TestReleases
from broker_core.conformance.removal import TestRemoval
from broker_core.conformance.worker import TestWorker

__all__ = [
    "TestAttempts",
    "TestBrokerRestart",
    "TestBrokerSilence",
    "TestCancellation",
    "TestConnectionLoss",
    "TestConsumerDeath",
    "TestCrashAndExpiry",
    "TestDeadLetters",
    "TestDedup",
    "TestFairness",
    "TestFairnessAtScale",
    "TestFairnessBound",
    "TestFencing",
    "TestGivingBack",
    "TestIntrospection",
    "TestIsolation",
    "TestLeases",
    "TestLifeCycle",
    "TestLimits",
    "TestMemoryUse",
    "TestOrder",
    "TestPublishReceive",
    "TestReleases",
    "TestRemoval",
    "TestWorker",
]
