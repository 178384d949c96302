"""The contract of FairDispatcher as a pytest suite that any adapter can run (needs the extra `testing`).

An adapter's test package does three things:

1.  Its top `conftest.py` says `pytest_plugins = ["broker_core.conformance.plugin"]`.
2.  It implements `Harness` (see `broker_core.conformance.harness`) for its broker.
3.  One short test module per broker supplies the fixture `harness` and takes over the suite::

        from broker_core.conformance.suite import *  # noqa: F403

        @pytest.fixture
        async def harness() -> AsyncIterator[Harness]:
            async with MyHarness() as harness:
                yield harness

A test's name begins with the number of its behaviour (`test_b9_…`). What the adapter declines in its
Capabilities, or the harness can't do, is skipped by the marker `requires` and nowhere else.
Every test uses a namespace of its own; nothing is ever flushed.
"""
