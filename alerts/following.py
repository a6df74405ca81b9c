"""What people do to our tickets in the PSA, kept on the ticket (asked by the integrations room; see `TICKET_FOLLOWER`).

Facts: where the ticket is now and since when. What follows from them is decided where it always is, when an attempt
about the ticket is made, which reads the ticket again. Only a ticket that a person closed or deleted ends here.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from django.conf import settings
from django.db.models import F, Q

from alerts.models import Condition, Ticket
from integrations.models import Choice, Credentials
from integrations.psa.port import TicketState
from portal import clock, database

FOLLOWED = (
    "seen_at",
    "changed_at",
    "changed_by",
    "psa_status_id",
    "psa_status",
    "psa_closed_at",
    "board_id",
    "moved_to",
    "merged_into",
    "child_of",
    "company_id",
    "moved_to_company",
    "gone_at",
    "news",
    "news_at",
    "state",
    "closed_at",
    "acknowledged_at",
    "reminded_at",
)


class FollowedTickets:
    """The alerts room's side of `integrations.following.Follower`."""

    @property
    def prefix(self) -> str:
        return f"{settings.INSTALLATION}:"

    def known(self, credentials: Credentials, ids: Collection[str]) -> set[str]:
        rows = Ticket.objects.filter(credentials=credentials, psa_id__in=ids)
        return set(rows.values_list("psa_id", flat=True))

    def unseen(self, credentials: Credentials, since: datetime, most: int) -> list[str]:
        rows = Ticket.objects.filter(credentials=credentials, closed_at=None).exclude(psa_id="")
        rows = rows.filter(Q(seen_at=None) | Q(seen_at__lt=since))
        return list(
            rows.order_by(F("seen_at").asc(nulls_first=True), "pk").values_list("psa_id", flat=True)[:most]
        )

    def moved_companies(
        self, credentials: Credentials, clients: Collection[uuid.UUID]
    ) -> dict[uuid.UUID, str]:
        rows = Ticket.objects.filter(credentials=credentials, closed_at=None, condition__client__in=clients)
        moved = rows.exclude(moved_to_company="").order_by("pk")
        return dict(moved.values_list("condition__client", "moved_to_company"))

    def settle_company(self, credentials: Credentials, client: uuid.UUID, company: str) -> None:
        rows = Ticket.objects.filter(credentials=credentials, condition__client=client, closed_at=None)
        rows.filter(moved_to_company=company).update(company_id=company, moved_to_company="")

    def note(self, credentials: Credentials, states: Sequence[TicketState], gone: Collection[str]) -> int:
        by_id = {state.id: state for state in states}
        rows = list(
            Ticket.objects.select_for_update(no_key=True, of=("self",))
            .filter(credentials=credentials, psa_id__in=[*by_id, *gone])
            .select_related("condition")
            .order_by("pk")
        )
        names = names_of(credentials, by_id.values())
        news = sum(
            note_state(row, by_id[row.psa_id], names) if row.psa_id in by_id else note_gone(row)
            for row in rows
        )
        database.save_all(rows, FOLLOWED)
        return news


Names = Mapping[tuple[str, str], str]


def names_of(credentials: Credentials, states: Collection[TicketState]) -> Names:
    """What the PSA calls these statuses, boards and companies, as far as our copy of its options knows."""
    wanted: dict[str, set[str]] = {
        "status": {state.status_id for state in states if state.status_id},
        "board": {state.board_id for state in states if state.board_id},
        "company": {state.company_id for state in states if state.company_id},
    }
    match = Q()
    for kind, ids in wanted.items():
        match |= Q(kind=kind, psa_id__in=ids)
    rows = Choice.objects.filter(match, credentials=credentials)
    return {(kind, psa_id): name for kind, psa_id, name in rows.values_list("kind", "psa_id", "name")}


def note_state(row: Ticket, state: TicketState, names: Names) -> bool:
    """How a ticket is now, on its row; True when somebody else did something to a ticket that is open with us.

    A state that is older than what is known (two readers, the slower one last) says nothing.
    """
    if row.changed_at and state.changed_at and state.changed_at < row.changed_at:
        return False
    now = clock.now()
    is_first_look = row.seen_at is None
    was_over = row.closed_at is not None
    told = told_by(row, state, names)
    row.gone_at = None
    row.seen_at, row.changed_at, row.changed_by = now, state.changed_at, state.updated_by[:100]
    row.psa_status_id = state.status_id or ""
    row.psa_status = names.get(("status", row.psa_status_id), row.psa_status_id)[:100]
    row.psa_closed_at = (row.psa_closed_at or state.changed_at or now) if state.is_closed else None
    follow_places(row, state)
    is_in_our_hands = (
        row.sent_at is not None or row.state == Ticket.State.OPENING
    )  # closing, or opening again
    is_our_close = state.is_closed and not state.merged_into and is_in_our_hands
    follow_end(row, state, is_our_close=is_our_close)
    stays_over = was_over and row.closed_at is not None
    if stays_over or not told or is_our_close or (is_first_look and not is_telling(state)):
        return False
    row.news, row.news_at = "; ".join(told)[:300], state.changed_at or now
    return True


def follow_end(row: Ticket, state: TicketState, *, is_our_close: bool) -> None:
    """Closed by a person: it is over here too, and acknowledges a problem that goes on. Opened again: it goes on here.

    A ticket that was merged goes on in the other one, which the next attempt looks for.
    """
    now = clock.now()
    if state.is_closed and not state.merged_into and row.closed_at is None and not is_our_close:
        row.state, row.closed_at = Ticket.State.CLOSED, now
        if row.condition.state == Condition.State.FAILING and row.episode == row.condition.episode:
            row.acknowledged_at = row.psa_closed_at or now
    elif not state.is_closed and row.acknowledged_at is not None and is_newest(row):
        row.state, row.closed_at, row.acknowledged_at, row.reminded_at = Ticket.State.OPEN, None, None, None


def is_newest(row: Ticket) -> bool:
    return not Ticket.objects.filter(condition=row.condition_id, generation__gt=row.generation).exists()


def is_telling(state: TicketState) -> bool:
    """Of a ticket seen for the first time: what nobody but a person does to an open ticket of ours."""
    return bool(state.is_closed or state.merged_into or state.parent_id)


def told_by(row: Ticket, state: TicketState, names: Names) -> list[str]:
    """What is different from what we knew, in words."""
    told = []
    if state.merged_into and state.merged_into != row.merged_into:
        told.append(f"merged into {state.merged_into}")
    elif state.is_closed and row.psa_closed_at is None:
        told.append("closed")
    elif not state.is_closed and row.psa_closed_at is not None:
        told.append("opened again")
    if row.board_id and state.board_id and state.board_id != (row.moved_to or row.board_id):
        told.append(f"moved to {names.get(('board', state.board_id), state.board_id)}")
    if row.company_id and state.company_id and state.company_id != (row.moved_to_company or row.company_id):
        told.append(f"now of {names.get(('company', state.company_id), state.company_id)}")
    if state.parent_id and state.parent_id != row.child_of:
        told.append(f"made a child of {state.parent_id}")
    if not told and row.psa_status_id and state.status_id and state.status_id != row.psa_status_id:
        told.append(f"status {names.get(('status', state.status_id), state.status_id)}")
    return told


def follow_places(row: Ticket, state: TicketState) -> None:
    """Where it was at first stays known; back at home it is not moved any more."""
    row.board_id = row.board_id or state.board_id or ""
    row.moved_to = "" if state.board_id in (None, row.board_id) else state.board_id or ""
    row.company_id = row.company_id or state.company_id or ""
    row.moved_to_company = "" if state.company_id in (None, row.company_id) else state.company_id or ""
    row.merged_into = "" if state.merged_into in (None, row.psa_id) else state.merged_into or ""
    row.child_of = "" if state.parent_id in (None, row.psa_id) else state.parent_id or ""


def note_gone(row: Ticket) -> bool:
    """Deleted for good: with us it ends here, so that nobody tries to close it."""
    if row.gone_at is not None:
        return False
    now = clock.now()
    row.gone_at = now
    if row.closed_at is not None:
        return False
    row.state, row.closed_at = Ticket.State.GONE, now
    row.news, row.news_at = "deleted", now
    return True
