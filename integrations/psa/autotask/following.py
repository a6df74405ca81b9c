"""Tickets of Autotask that people changed: which, and how they are now (asked by the adapter).

Facts: a person's change moves `lastActivityDate` or `lastTrackedModificationDateTime`, not always both (docs/psa/
autotask.md); a merge shows in a note only; a deleted ticket is just not there any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from integrations.psa.autotask import filters
from integrations.psa.autotask.options import COMPLETE
from integrations.psa.autotask.rest import Row, id_of, moment, number, text_of
from integrations.psa.autotask.tickets import FIELDS, Tickets, merge_target
from integrations.psa.port import TicketState

MOVES_WITH_A_CHANGE = ("lastActivityDate", "lastTrackedModificationDateTime")
FOLLOWED = (*FIELDS, *MOVES_WITH_A_CHANGE)


class Following(Tickets):
    """Besides the tickets themselves, one read of the notes of each 200 that are complete, to know merged ones."""

    def changed(self, ref_prefix: str, since: datetime) -> list[TicketState]:
        """One read for each 500 tickets."""
        rows = self._rest.all(
            "Tickets",
            filters.either(*(filters.since(field, since) for field in MOVES_WITH_A_CHANGE)),
            filters.starts_with("externalID", ref_prefix),
            fields=FOLLOWED,
        )
        return self._followed([row for row in rows if text_of(row, "externalID").startswith(ref_prefix)])

    def by_id(self, ids: Sequence[str]) -> list[TicketState]:
        """One read for each 200 ids."""
        wanted = sorted({number(text) for text in ids})
        rows = [
            row
            for start in range(0, len(wanted), filters.MOST_AT_ONCE)
            for row in self._rest.all(
                "Tickets",
                filters.one_of("id", wanted[start : start + filters.MOST_AT_ONCE]),
                fields=FOLLOWED,
            )
        ]
        return self._followed([row for row in rows if text_of(row, "id") in ids])

    def _followed(self, rows: Sequence[Row]) -> list[TicketState]:
        merged = self._merges([row for row in rows if id_of(row, "status") == COMPLETE])
        return [
            replace(self._state(row, merged.get(text_of(row, "id"))), changed_at=_changed_at(row))
            for row in rows
        ]

    def _merges(self, rows: Sequence[Row]) -> dict[str, str]:
        """Into which ticket each of these complete ones was merged, by id."""
        own = {text_of(row, "id"): text_of(row, "ticketNumber") for row in rows}
        ids = sorted(number(key) for key in own)
        found: dict[str, str] = {}
        for start in range(0, len(ids), filters.MOST_AT_ONCE):
            notes = self._rest.all(
                "TicketNotes",
                filters.one_of("ticketID", ids[start : start + filters.MOST_AT_ONCE]),
                fields=("id", "ticketID", "title", "description"),
            )
            for note in sorted(notes, key=lambda note: number(text_of(note, "id"))):
                key = text_of(note, "ticketID")
                if target := merge_target(note, own.get(key, "")):
                    found[key] = target
        return {key: into for key, target in found.items() if (into := self._with_number(target))}


def _changed_at(row: Row) -> datetime | None:
    moments = [at for field in MOVES_WITH_A_CHANGE if (at := moment(text_of(row, field)))]
    return max(moments, default=None)
