"""Measures the dispatcher and the designs that were not chosen: `python -m bench`."""
