"""Runs a handler in worker processes over all cores: `fairdispatch work`."""
