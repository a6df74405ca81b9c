"""`python -m tests.parity`: each rule with its test or guide row, and what is open; `--write` renews docs/parity.md.

Fails while a rule is open, while a mark or guide names a rule that there is not, and while the page is not this table.
"""

from __future__ import annotations

import sys

from tests.parity.table import PAGE, page, printed, table


def main(arguments: list[str]) -> int:
    found = table()
    if "--write" in arguments:
        PAGE.write_text(page(found), encoding="utf-8")
    faults = list(found.faults)
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page(found):
        faults.append("docs/parity.md is not this table: make parity ARGS=--write")
    say = [
        printed(found),
        "",
        *faults,
        *(f"open: {row.key} {row.rule}" for row in found.open),
        found.counted(),
    ]
    sys.stdout.write("\n".join(say) + "\n")
    return 1 if faults or found.open else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
