"""How many calls a fleet's push costs (asked by the benchmarks)."""

from __future__ import annotations

from collections.abc import Iterator

from alerts.proving import proofs
from alerts.proving.bench import Bench, Figure


def calls(bench: Bench) -> Iterator[Figure]:
    """Clients x 5 services, 3 % of the lines changed: calls made beside the fewest possible, in percent more."""
    held, figure = proofs.in_its_own_database("calls-smoke" if bench.is_smoke else "calls")
    if not held:
        raise RuntimeError(figure)
    made, fewest = (int(word) for word in figure.split()[:2])
    yield Figure("p15_push_calls", (made / fewest - 1) * 100, {"calls": made, "fewest": fewest})
