"""vtrr-queue, the one published library with fairness among partitions: its scripts, without the Celery
workers that it is meant for, which could only be slower. A message is removed before it is handled.

https://github.com/C-Research/vtrr-queue"""

from __future__ import annotations

import json

import redis
from celery import Celery
from measuring import Task, clocked, main
from vtrr_queue import VTRRQueue


def queue_of(task: Task) -> VTRRQueue:
    """Make a queue whose Celery application is never asked for anything."""
    app = Celery(broker=task.url)
    return VTRRQueue(redis_client=redis.Redis.from_url(task.url), celery_app=app, name="all")


async def publish(task: Task) -> None:
    """One call of its enqueue script for 200 messages."""
    queue = queue_of(task)
    for numbers in task.batches():
        arguments: list[str] = []
        for number in numbers:
            payload = json.dumps({"task_name": "m", "args": [task.payload(number).decode()], "kwargs": {}})
            arguments += [task.customer(number), str(number), "1", payload]
        queue._enqueue(arguments)


async def consume(task: Task) -> None:
    """One call of its dequeue script for each message."""
    queue = queue_of(task)
    while (found := queue._dequeue()) is not None:
        task.handle(found[1][0])


if __name__ == "__main__":
    main(clocked(publish), clocked(consume))
