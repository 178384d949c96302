"""Measurements of the HTTP service: which framework, and what the service answers a second."""
