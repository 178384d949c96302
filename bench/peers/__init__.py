"""The product beside what people would otherwise take, in one run: `python -m bench.peers --help`."""
