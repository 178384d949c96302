"""What a customer costs where each has a queue or a partition: `python -m bench.scale --help`."""
