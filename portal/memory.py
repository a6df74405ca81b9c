"""Python's memory where much of it is used at once (asked by exports and the replay lab)."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Without the garbage collector, which would look at the same hundred thousand living objects again and again: a
    third of the time. What is dropped here must have no cycles; then it goes at once.

    Of several threads at once the first one in switches it on again.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
