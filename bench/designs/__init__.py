"""Designs that were not chosen, as small as they can be, to measure the chosen one against."""
