"""Tickets of ConnectWise that people changed: which, and how they are now (asked by the adapter).

Facts: `lastUpdated` can be filtered (documented); a ticket that was deleted is just not there any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from integrations.psa.connectwise import conditions
from integrations.psa.connectwise.rest import Rest, Row, info_of, number, text_of
from integrations.psa.connectwise.tickets import FIELDS, moment, ticket_state
from integrations.psa.port import SignIn, TicketState

AT_ONCE = 200  # ids in one condition: a URL of about 2,000 characters, which all servers take (seen)


class Following:
    def __init__(self, rest: Rest, sign_in: SignIn) -> None:
        self._rest = rest
        self._sign_in = sign_in

    def changed(self, ref_prefix: str, since: datetime) -> list[TicketState]:
        """One read for each 1000 tickets."""
        found = self._search(
            conditions.both(
                conditions.since("lastUpdated", since), conditions.starts_with("externalXRef", ref_prefix)
            )
        )
        return [state for state in found if state.external_ref.startswith(ref_prefix)]

    def by_id(self, ids: Sequence[str]) -> list[TicketState]:
        """One read for each 200 ids."""
        wanted = sorted({number(text) for text in ids})
        return [
            state
            for start in range(0, len(wanted), AT_ONCE)
            for state in self._search(conditions.one_of("id", wanted[start : start + AT_ONCE]))
            if state.id in ids
        ]

    def _search(self, wanted: str) -> list[TicketState]:
        rows: Iterable[Row] = self._rest.all("/service/tickets", conditions=wanted, fields=FIELDS)
        return [self._state(row) for row in rows]

    def _state(self, row: Row) -> TicketState:
        return replace(
            ticket_state(row, self._sign_in),
            changed_at=moment(text_of(info_of(row), "lastUpdated")),
        )
