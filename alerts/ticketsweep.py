"""Which tickets carry our key and are not as we know them (asked by the worker, every ten minutes and at start)."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.db import transaction

from alerts import conditions
from alerts.models import Ticket
from integrations import connections, eventlog
from integrations.models import Credentials, Delivery
from integrations.psa.errors import PsaError, SignInRefused, Throttled, Unreachable
from integrations.psa.port import Psa, TicketState
from integrations.psa.wanted import WantedTicket
from portal import chaos, clock, disabled, inheritance

logger = logging.getLogger(__name__)
SWEPT = timedelta(hours=24)


def sweep(credentials: Credentials) -> int:
    """Adopt tickets that carry our key but that we do not know (a lost answer, a restored backup); close doubles.

    Returns how many tickets were put right.
    """
    with connections.psa_for(credentials) as psa:
        chaos.point("before-sweep")
        found = psa.recent_tickets(f"{settings.INSTALLATION}:", since=clock.now() - SWEPT)
        chaos.point("sweep-listed")
        by_ref: dict[str, list[TicketState]] = defaultdict(list)
        for state in found:
            by_ref[state.external_ref].append(state)
        rows = Ticket.objects.filter(credentials=credentials, external_ref__in=by_ref)
        tree = inheritance.Tree.of(credentials.partner_id)
        superfluous: list[tuple[TicketState | None, TicketState]] = []
        righted = 0
        off = disabled.of(rows.values_list("condition__client", flat=True))
        for row in rows.select_related("condition__client"):
            kept, others = judge_twins(row, by_ref[row.external_ref])
            righted += kept is not None and kept.id != row.psa_id and adopt_orphan(row, kept)
            mode = inheritance.mode_of(row.condition.client, "tickets", tree).value
            if mode != "observe" and row.condition.client_id not in off:
                superfluous += [(kept, state) for state in others]
        righted += sum(close_superfluous(psa, kept, state) for kept, state in superfluous)
    chaos.point("swept")
    return righted


def judge_twins(row: Ticket, states: Sequence[TicketState]) -> tuple[TicketState | None, list[TicketState]]:
    """Of all PSA tickets with one key: the one that is kept and known, and those that should not be open.

    A row that was closed keeps what it knows: whatever else turns up with its key came too late.
    """
    own = next((state for state in states if state.id == row.psa_id), None)
    if row.psa_id and own is None:
        return None, []  # the one we know is older than what was asked for: no judgement
    kept = own if row.closed_at is not None else kept_of(own, states)
    return kept, [state for state in states if not state.is_closed and state is not kept]


def kept_of(own: TicketState | None, states: Sequence[TicketState]) -> TicketState:
    """Of the tickets of an open row: the one it knows, else the oldest; but an open one before closed ones."""
    still_open = [state for state in states if not state.is_closed]
    if own is not None and (own in still_open or not still_open):
        return own
    return (still_open or list(states))[0]


def close_superfluous(psa: Psa, kept: TicketState | None, state: TicketState) -> bool:
    """Close a ticket that should not be, with a note that says why; False when the PSA refuses just this one.

    Raises what says that the next one would fare no better.
    """
    logger.error(
        "Ticket %s carries the key %s, which needs no further ticket", state.number, state.external_ref
    )
    because = (
        f"ticket {kept.number} is about the same problem" if kept else "its problem was over when it appeared"
    )
    wanted = WantedTicket(
        external_ref=state.external_ref,
        state="closed",
        company_id=state.company_id or "",
        summary=state.summary,
        known_id=state.id,
        note=f"Closed by PSA Portal: {because}.",
    )
    try:
        psa.apply(psa.plan_ticket(wanted))
    except (Unreachable, Throttled, SignInRefused):
        raise
    except PsaError as error:
        logger.error("Ticket %s could not be closed, close it by hand: %s", state.number, error.text)
        return False
    return True


def adopt_orphan(row: Ticket, state: TicketState) -> bool:
    """Give a ticket row the PSA ticket that was opened for it; then let its condition be looked at again."""
    with transaction.atomic():
        adopted = Ticket.objects.filter(pk=row.pk, psa_id=row.psa_id, closed_at=None).update(
            psa_id=state.id,
            number=state.number,
            url=state.url,
            state=Ticket.State.OPEN,
            opened_at=clock.now(),
        )
        if adopted:
            newest = Delivery.objects.filter(subject=conditions.subject_of(row.condition_id)).order_by("-id")[
                :1
            ]
            eventlog.reprocess(Delivery.objects.filter(pk__in=newest.values("pk")))
            chaos.point("before-adopt")
    return bool(adopted)
