"""One after the other, so that one that fails does not stop those behind it (asked by recurring jobs of all rooms)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

from django.db import OperationalError

logger = logging.getLogger(__name__)
Item = TypeVar("Item")


class SomeFailed(Exception):
    """Some of many could not be done; the others are."""


def each(items: Iterable[Item], work: Callable[[Item], object], *, what: str) -> int:
    """Do the work for each item and return the sum of the numbers it answers.

    One that raises is logged, and the others go on; at the end SomeFailed is raised, so that the worker shows the job
    as failed. A database that does not answer fails for all, so that ends it at once. Not inside a transaction: what an
    item did before it raised must be its own to roll back.
    """
    total, seen = 0, 0
    failed: list[str] = []
    first: Exception | None = None
    for item in items:
        seen += 1
        try:
            done = work(item)
            total += done if isinstance(done, int) else 0
        except OperationalError:
            raise
        except Exception as error:
            logger.exception("%s: %s could not be done; the others go on", what, item)
            failed.append(str(item))
            first = first or error
    if first is not None:
        named = ", ".join(failed[:5])
        more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
        raise SomeFailed(
            f"{what}: {len(failed)} of {seen} failed ({named}{more}); the others are done."
        ) from first
    return total
