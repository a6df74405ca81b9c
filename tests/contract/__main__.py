"""`python -m tests.contract`: every promise of the PSA port at every PSA, as a table. More arguments go to pytest.

Fails too when fewer than a thousand different pairs of request and answer a PSA were held against its document, or
one of them disagrees.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.contract.table import Table


def main(arguments: list[str]) -> int:
    os.environ.setdefault("DATABASE_URL", "sqlite://:memory:")
    os.environ.setdefault("REDIS_URL", "")
    table = Table()
    code = int(pytest.main([str(Path(__file__).parent), "-q", "--no-header", *arguments], plugins=[table]))
    shortfalls = [] if arguments else table.shortfalls()
    sys.stdout.write("".join(f"{shortfall}\n" for shortfall in shortfalls))
    return code or (1 if shortfalls else 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
