"""Measures what the product promises about speed, and sets each figure beside its goal (asked by `manage.py bench`).

A figure is measured several times and its median is told; `detail` holds all measurements, how busy others kept the
machine, and what a reader must know to judge it.
"""

from __future__ import annotations

import statistics
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from alerts.proving.stack import Stack


@dataclass(frozen=True)
class Goal:
    """What a figure should be: at most, at least, or exactly `limit`; SQLite may have an easier one."""

    unit: str
    sense: str
    limit: float | None
    on_sqlite: float | None = None

    def here(self) -> float | None:
        on_sqlite = connection.vendor == "sqlite"
        return self.on_sqlite if on_sqlite and self.on_sqlite is not None else self.limit

    def text(self) -> str | None:
        limit = self.here()
        return None if limit is None else f"{self.sense} {limit:g}"

    def is_met(self, value: float | None) -> bool | None:
        limit = self.here()
        if limit is None:
            return None
        if value is None:
            return False
        return {"<=": value <= limit, ">=": value >= limit, "==": value == limit}[self.sense]


GOALS = {
    "p1_event_to_ticket_p50": Goal("ms", "<=", 30),
    "p1_event_to_ticket_p99": Goal("ms", "<=", 100, on_sqlite=250),
    "p2_tickets": Goal("tickets/s", ">=", 150, on_sqlite=100),
    "p2_tickets_psa_50ms": Goal("tickets/s", ">=", 150, on_sqlite=100),
    "p2_one_lane": Goal("tickets/s", ">=", None),
    "p2_one_lane_psa_50ms": Goal("tickets/s", ">=", None),
    "p3_single_events": Goal("events/s", ">=", 300, on_sqlite=250),
    "p3_single_events_p99": Goal("ms", "<=", None),
    "p3_single_repeats": Goal("events/s", ">=", 300, on_sqlite=250),
    "p4_batched_events": Goal("events/s", ">=", 5000, on_sqlite=4000),
    "p4_batched_repeats": Goal("events/s", ">=", 5000, on_sqlite=4000),
    "p5_storm_tickets": Goal("tickets", "==", 1),
    "p5_storm_http_5xx": Goal("answers", "==", 0),
    "p5_storm_seconds_to_ticket": Goal("s", "<=", 2),
    "p5_storm_events": Goal("events/s", ">=", 5000, on_sqlite=4000),
    "p6_cpu_per_ticket": Goal("ms", "<=", 8),
    "p6_cpu_per_ticket_at_10": Goal("ms", "<=", None),
    "p6_cpu_idle": Goal("% of a core", "<=", None),
    "p7_memory_idle": Goal("MiB", "<=", 270),
    "p7_memory_after_load": Goal("MiB", "<=", 270),
    "p7_memory_drift": Goal("%", "<=", 5),
    "p8_first_sync": Goal("s", "<=", 3.6),
    "p8_first_sync_calls": Goal("calls", "<=", 55),
    "p8_first_sync_connections": Goal("connections", "<=", 4),
    "p8_large": Goal("s", "<=", None),
    "p8_large_calls": Goal("calls", "<=", None),
    "p8_large_connections": Goal("connections", "<=", 4),
    "p8_large_memory": Goal("MiB more", "<=", None),
    "p8_large_again": Goal("s", "<=", None),
    "p8_large_again_calls": Goal("calls", "<=", None),
    "p8_large_again_memory": Goal("MiB more", "<=", None),
    "p9_unchanged": Goal("s", "<=", 1.3),
    "p9_unchanged_calls": Goal("calls", "<=", 12),
    "p9_unchanged_connections": Goal("connections", "<=", 4),
    "p10_calls_per_page": Goal("calls/500 rows", "<=", 1),
    "p10_calls": Goal("calls", "<=", None),
    "p10_first_sync": Goal("s", "<=", None),
    "p10_unchanged_calls": Goal("calls", "<=", None),
    "p11_flood_p99": Goal("ms", "<=", 1000),
    "p11_flood_ratio": Goal("x quiet p99", "<=", 2),
    "p11_hang_p99": Goal("ms", "<=", 1000),
    "p11_hang_ratio": Goal("x quiet p99", "<=", 2),
    "p12_within_60s": Goal("%", "==", 100),
    "p12_p99": Goal("s", "<=", 5),
    "p13_calls_per_alert": Goal("calls", "<=", 2),
    "p14_list_p95": Goal("ms", "<=", 300),
    "p14_like_p95": Goal("ms", "<=", 300),
    "p14_nothing_p95": Goal("ms", "<=", 300),
    "p14_errors_p95": Goal("ms", "<=", 300),
    "p14_quick_p95": Goal("ms", "<=", 300),
    "p14_csv_p95": Goal("ms", "<=", 300),
    "p14_queries": Goal("queries", "<=", 12),
    "p15_push_calls": Goal("% more than the fewest", "<=", 10),
}


@dataclass(frozen=True)
class Figure:
    """One measurement of one number."""

    name: str
    value: float | None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Size:
    """How much is sent; `smoke` only shows that everything can be measured."""

    seconds_at_10: int = 30
    tickets: int = 1500
    singles: int = 3000
    batched: int = 20_000
    storm: int = 10_000
    flood: int = 20_000
    quiet_seconds: int = 40
    promise: int = 1200
    memory_events: int = 20_000
    options: float = 1.0
    log: int = 200_000

    @classmethod
    def full(cls) -> Size:
        log = 1_000_000 if connection.vendor == "sqlite" else 10_000_000
        return cls(quiet_seconds=120, promise=10_000, memory_events=100_000, log=log)

    @classmethod
    def smoke(cls) -> Size:
        return cls(
            seconds_at_10=1,
            tickets=20,
            singles=20,
            batched=200,
            storm=200,
            flood=200,
            quiet_seconds=2,
            promise=20,
            memory_events=200,
            options=0.01,
            log=2_000,
        )


@dataclass
class Bench:
    """What a measurement gets: the running stack and how much to send."""

    stack: Stack
    size: Size
    is_smoke: bool = False


Measure = Callable[[Bench], Iterator[Figure]]


@dataclass(frozen=True)
class Measurement:
    """A function that measures some figures; those with `once` take long or do not vary."""

    measure: Measure
    once: bool = False


def run(
    bench: Bench,
    measurements: Mapping[str, Measurement],
    *,
    only: Collection[str],
    repetitions: int,
    tell: Callable[[dict[str, Any]], None],
    complain: Callable[[str], None],
) -> bool:
    """Measure and tell each figure as soon as it is known; False when one could not be measured."""
    complete = True
    for name, measurement in measurements.items():
        if only and not any(wanted == name or wanted.startswith(f"{name}_") for wanted in only):
            continue
        found: dict[str, list[Figure]] = {}
        began_at = time.monotonic()
        for _ in range(1 if measurement.once else repetitions):
            try:
                for figure in measurement.measure(bench):
                    found.setdefault(figure.name, []).append(figure)
            except Exception as error:  # noqa: BLE001 - the other figures are still worth having
                complain(traceback.format_exc())
                found.setdefault(f"{name}_failed", []).append(Figure(name, None, {"error": str(error)[:500]}))
                complete = False
                break
        complain(f"{name} took {time.monotonic() - began_at:.0f} s")
        for figures in found.values():
            tell(told(figures))
    return complete


def told(figures: Sequence[Figure]) -> dict[str, Any]:
    """The line of one figure: the median of its measurements."""
    name = figures[0].name
    goal = GOALS.get(name, Goal("", "<=", None))
    values = [figure.value for figure in figures if figure.value is not None]
    value = round(statistics.median(values), 3) if values else None
    detail = {key: [figure.detail.get(key) for figure in figures] for key in figures[0].detail}
    if len(figures) == 1:
        detail = dict(figures[0].detail)
    else:
        detail["values"] = [round(value, 3) for value in values]
    return {
        "name": name,
        "value": value,
        "unit": goal.unit,
        "goal": goal.text(),
        "met": goal.is_met(value),
        "database": connection.vendor,
        "detail": detail,
    }


def table(lines: Sequence[Mapping[str, Any]]) -> str:
    """The same for people."""
    rows = [("figure", "value", "goal", "met")]
    words = {True: "yes", False: "NO", None: "-"}
    for line in lines:
        value = "?" if line["value"] is None else f"{line['value']:,.1f} {line['unit']}"
        rows.append((line["name"], value, line["goal"] or "-", words[line["met"]]))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in rows
    )
