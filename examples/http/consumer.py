"""Consumes over HTTP with httpx, until it has processed as many messages as its argument says.

SERVICE_URL: where `fairdispatch serve` is. API_KEY: a key with the scope consume.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import httpx


def process(delivery: dict[str, Any]) -> None:
    """Do the work; whatever is raised here gives the message back."""
    print(f"{delivery['customer']}: {delivery['payload']} (attempt {delivery['attempt']})")


def call(client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Ask until there is an answer: all calls here may be repeated, at worst a message comes once more."""
    while True:
        try:
            answer = client.post(path, json=body)
        except httpx.TransportError as error:
            print(f"no answer: {error}", file=sys.stderr)
            time.sleep(1)
            continue
        if answer.status_code in (429, 503):
            time.sleep(float(answer.headers.get("retry-after", 1)))
            continue
        answer.raise_for_status()
        return dict(answer.json())


def main(count: int) -> None:
    """Receive, process, ack; what fails is delivered again after ten seconds."""
    headers = {"Authorization": f"Bearer {os.environ['API_KEY']}"}
    done = 0
    with httpx.Client(base_url=os.environ["SERVICE_URL"], headers=headers, timeout=60) as client:
        while done < count:
            most = min(100, count - done)
            received = call(client, "/v1/deliveries", {"max_messages": most, "wait": 20})
            processed, failed = [], []
            for delivery in received["deliveries"]:
                try:
                    process(delivery)
                except Exception as error:  # noqa: BLE001 - any failure of the work gives the message back
                    print(f"{delivery['id']}: {error}", file=sys.stderr)
                    failed.append(delivery["receipt"])
                else:
                    processed.append(delivery["receipt"])
            if processed:
                settled = call(client, "/v1/deliveries/ack", {"receipts": processed})
                for receipt in settled["lost"]:
                    print(f"took too long, delivered again: {receipt}", file=sys.stderr)
            if failed:
                call(client, "/v1/deliveries/nack", {"receipts": failed, "delay": 10, "reason": "failed"})
            done += len(processed)


if __name__ == "__main__":
    main(int(sys.argv[1]))
