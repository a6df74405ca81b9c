"""How work is handed to the worker (asked by doors and operations; django-q2 runs it).

Jobs get ids only, may run twice, late or beside themselves, and are enqueued after commit.
"""

from __future__ import annotations

from functools import partial

from django.db import transaction
from django_q.tasks import async_task


def enqueue(function: str, *ids: str | int, timeout: int | None = None) -> None:
    """Run `function` (dotted path of a job) soon, after the present transaction commits.

    `timeout` is in seconds; without one the worker's usual.
    """
    more = {} if timeout is None else {"timeout": timeout}
    transaction.on_commit(partial(async_task, function, *ids, **more))
