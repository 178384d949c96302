"""Writes made-up but realistic traffic to the standard output, the same for the same seed.

python examples/traffic/generator.py --seed 7 --messages 20000 > examples/traffic/sample.ndjson
"""

from __future__ import annotations

import argparse
import sys

from fair_dispatcher.demo.traffic import SAMPLE_MESSAGES, SAMPLE_SEED, generate, write


def main() -> None:
    """Write the lines."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=SAMPLE_SEED)
    parser.add_argument("--messages", type=int, default=SAMPLE_MESSAGES)
    arguments = parser.parse_args()
    for line in write(generate(arguments.seed, arguments.messages)):
        sys.stdout.buffer.write(line.encode())


if __name__ == "__main__":
    main()
