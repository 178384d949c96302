"""Publishes the messages of a file: lines as they come, parsed, in batches, with a report."""
