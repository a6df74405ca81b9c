"""How does the state of a sandbox outlive its process? One JSON line per committed request, replayed at start.

A line has reached the operating system before the request is answered, so killing the process at any moment loses
nothing that was acknowledged; only a power cut could (no fsync per line, which would cost milliseconds each).
At start and at reset the file is written anew, to the side, synchronised, and moved into place at once.
"""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from integrations.sandbox.messages import json_bytes

Line = dict[str, Any]


class StateFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def lines(self) -> Iterator[Line]:
        """What was written before; a last line that was cut off while being written is left out."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            for raw in file:
                if raw.endswith(b"\n"):
                    yield json.loads(raw)

    def rewrite(self, lines: Iterable[Line]) -> None:
        self.close()
        beside = self._path.with_name(self._path.name + ".new")
        with beside.open("wb") as file:
            for line in lines:
                file.write(json_bytes(line) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)
        _sync_folder(self._path.parent)
        self._file = self._path.open("ab", buffering=0)

    def append(self, line: Line) -> None:
        if self._file is None:
            raise RuntimeError("the state file is not open")
        self._file.write(json_bytes(line) + b"\n")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
