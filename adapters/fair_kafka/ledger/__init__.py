"""A namespace as a replicated state machine: pure, the same in every dispatcher that applies the same log."""
