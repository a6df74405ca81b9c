"""What processes take of the machine: CPU and memory from /proc (asked by the stack)."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class Cpu:
    """CPU seconds at one moment; `machine` counts everything that was not idle."""

    at: float
    groups: Mapping[str, float]
    machine: float

    def since(self, before: Cpu) -> dict[str, float]:
        """CPU seconds by part; parts that were started meanwhile count in full."""
        return {name: used - before.groups.get(name, 0.0) for name, used in self.groups.items()}

    def foreign(self, before: Cpu) -> float:
        """Share of the machine (0 to 1) that others used meanwhile."""
        ours = sum(self.since(before).values())
        available = (self.at - before.at) * (os.cpu_count() or 1)
        return max(0.0, (self.machine - before.machine - ours) / available)


def all_pids() -> list[int]:
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()] if PROC.exists() else []


def read(pid: int, what: str) -> str:
    try:
        return (PROC / str(pid) / what).read_text()
    except OSError:
        return ""


def fields_of(pid: int) -> Sequence[str]:
    """The fields of /proc/<pid>/stat after the name, which may hold blanks: state, parent, ..."""
    return read(pid, "stat").rpartition(")")[2].split()


def serves(pid: int, name: str) -> bool:
    """Whether this is a PostgreSQL process that works for the database of that name (its title says for which)."""
    return read(pid, "comm").strip() == "postgres" and f" {name} " in read(pid, "cmdline")


def cpu_of(pid: int) -> float:
    """User and system time of a process and of its children that have ended."""
    fields = fields_of(pid)
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK") if len(fields) > 15 else 0.0


def part_of(pid: int) -> str:
    """`web`, `dispatcher`, `worker` or `supervisor`, from the command line."""
    words = {"gunicorn": "web", "dispatch": "dispatcher", "qcluster": "worker"}
    line = read(pid, "cmdline").split("\0")
    return next((part for word, part in words.items() if word in line), "supervisor")


def pss_of(pid: int) -> int:
    """KiB, shared pages counted in parts."""
    lines = read(pid, "smaps_rollup").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def resident(pid: int, *, peak: bool = False) -> float:
    """MiB that the process has in memory now, or had at most since `forget_peak`."""
    name = "VmHWM:" if peak else "VmRSS:"
    lines = read(pid, "status").splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(name)), 0.0)


def forget_peak(pid: int) -> None:
    """The most a process had in memory is counted from now on (proc(5), clear_refs)."""
    with contextlib.suppress(OSError):
        (PROC / str(pid) / "clear_refs").write_text("5")


def machine_busy() -> float:
    """CPU seconds of the machine that were not idle, since it was started."""
    try:
        first = (PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]
    except OSError:
        return 0.0
    user, nice, system, _idle, _waiting, *interrupts = map(int, first)
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")


def descendants() -> Callable[[int], list[int]]:
    """A function from a process to it and all below it, as of now."""
    below: dict[int, list[int]] = {}
    for pid in all_pids():
        fields = fields_of(pid)
        if len(fields) > 1:
            below.setdefault(int(fields[1]), []).append(pid)

    def tree(pid: int) -> list[int]:
        return [pid, *flat(tree(child) for child in below.get(pid, []))]

    return tree


def flat(lists: Iterable[Iterable[int]]) -> list[int]:
    return [item for one in lists for item in one]


def fdatasync_milliseconds(folder: Path, times: int = 200) -> float:
    """The median price of making 4 KiB durable there: the floor of every commit."""
    block, spent = os.urandom(4096), []
    with (folder / "floor").open("wb", buffering=0) as file:
        for _ in range(times):
            began = time.perf_counter()
            file.write(block)
            os.fdatasync(file.fileno()) if hasattr(os, "fdatasync") else os.fsync(file.fileno())
            spent.append(time.perf_counter() - began)
    (folder / "floor").unlink()
    return sorted(spent)[times // 2] * 1000
