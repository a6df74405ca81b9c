"""A test ticket that cleans up after itself: opened with the settings in effect, then closed (asked by a page).

It goes through the same plan and apply as every ticket, belongs to no condition and is counted nowhere. When a step's
outcome is not known, the ticket is looked for by its key, so that none is left behind.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.conf import settings as deployment
from django.db import IntegrityError, transaction

from alerts import wantedticket
from alerts.models import Condition, TicketTest
from alerts.ticketsettings import SettingsOf
from integrations import companies, connections, effective
from integrations.models import Credentials
from integrations.models.eventlog import Severity
from integrations.psa.errors import PsaError
from integrations.psa.port import Psa
from integrations.psa.wanted import WantedTicket
from portal import background, clock, disabled, inheritance
from portal.models import Account, Client

logger = logging.getLogger(__name__)
PREFIX = "test"
LOST_AFTER = timedelta(minutes=5)


class NotPossible(Exception):
    """A test makes no sense now; the text says why and what to do."""


def ask(client: Client, *, account: Account | None = None, by: str) -> TicketTest:
    """Have a test ticket opened and closed soon; one that is under way is joined. Raises NotPossible."""
    lane = effective.lanes_of([client])[client.pk]
    if lane is None:
        raise NotPossible("No PSA is in effect for this client. Enter PSA Credentials first.")
    if stop := disabled.of([client.pk]).get(client.pk):
        raise NotPossible(f"{stop.sentence} Enable it first.")
    company_of(client, lane.credentials)
    if inheritance.mode_of(client, "tickets", inheritance.Tree.of(client.partner_id)).value != "live":
        raise NotPossible(
            "Tickets are not live for this client: nothing is written to the PSA, tests neither."
        )
    give_up_lost(client)
    row = TicketTest(
        partner_id=client.partner_id,
        client=client,
        account=account,
        credentials=lane.credentials,
        external_ref=f"{PREFIX}:{clock.new_id().hex}",
        asked_by=by[:254],
    )
    try:
        with transaction.atomic():
            row.save()
            background.enqueue("alerts.jobs.test_ticket", str(row.pk))
    except IntegrityError:
        under_way = (TicketTest.State.WAITING, TicketTest.State.RUNNING)
        found: TicketTest = TicketTest.objects.get(client=client, state__in=under_way)
        return found
    return row


def company_of(client: Client, credentials: Credentials) -> str:
    link = companies.links_of([client.pk], [credentials.pk]).get((client.pk, credentials.pk))
    if not link:
        raise NotPossible("The client is not mapped to a PSA company. Map it first.")
    return link


def give_up_lost(client: Client) -> None:
    """A worker that was killed leaves a test behind that nobody carries out any more."""
    lost = TicketTest.objects.filter(client=client, asked_at__lt=clock.now() - LOST_AFTER)
    for row in lost.filter(state__in=(TicketTest.State.WAITING, TicketTest.State.RUNNING)):
        text = "Nobody carried it out. Try again."
        if row.started_at is not None or row.psa_id:
            named = (
                f"The ticket {row.psa_id}"
                if row.psa_id
                else "A ticket “Test ticket, closed by itself in a moment”"
            )
            text = f"The worker was lost on the way. {named} may still be open in the PSA: close it there."
        row.steps = [*row.steps, step("lost", False, text)]
        row.state, row.finished_at = TicketTest.State.FAILED, clock.now()
        row.save(update_fields=["steps", "state", "finished_at"])


def run(test_id: str) -> None:
    """Carry out one test; a second worker finds it taken."""
    taken = TicketTest.objects.filter(pk=test_id, state=TicketTest.State.WAITING)
    if not taken.update(state=TicketTest.State.RUNNING, started_at=clock.now()):
        return
    row = TicketTest.objects.select_related(
        "client__organization", "account", "credentials__lane", "credentials__partner"
    ).get(pk=test_id)
    row.steps = []
    try:
        wanted = wanted_for(row)
        with connections.psa_for(row.credentials) as psa:
            is_fine = walk(row, psa, wanted)
    except NotPossible as refusal:
        is_fine = told(row, "settings", refusal)
    except PsaError as error:
        is_fine = told(row, "connect", error)
    row.state = TicketTest.State.PASSED if is_fine else TicketTest.State.FAILED
    row.finished_at = clock.now()
    row.save()


def wanted_for(row: TicketTest) -> WantedTicket:
    """The ticket as the settings in effect make it, of a problem that says that it is none."""
    settings = SettingsOf.of(
        row.partner_id,
        clients=[row.client_id],
        accounts=[row.account_id] if row.account_id else [],
    )
    now = clock.now()
    condition = Condition(
        partner_id=row.partner_id,
        client=row.client,
        account=row.account,
        key=row.external_ref,
        severity=Severity.WARNING,
        summary="Test ticket, closed by itself in a moment",
        since=now,
        decided_at=now,
    )
    return wantedticket.wanted_ticket(
        condition,
        None,
        settings=settings,
        credentials=row.credentials,
        company=company_of(row.client, row.credentials),
        external_ref=row.external_ref,
        state="open",
        created_at=now,
    )


def walk(row: TicketTest, psa: Psa, wanted: WantedTicket) -> bool:
    """Open, read, close, read. Whatever happens after the opening was sent, closing is tried."""
    opened = attempt(row, "open", lambda: apply(psa, wanted, row))
    if not opened and not found_again(row, psa):
        return False
    was_read = attempt(row, "read", lambda: read(psa, row))
    closing = replace(wanted, state="closed", known_id=row.psa_id, note="The test is over.")
    closed = attempt(row, "close", lambda: apply(psa, closing, row))
    return bool(opened and was_read and closed and attempt(row, "check", lambda: require_closed(psa, row)))


def attempt(row: TicketTest, name: str, act: Callable[[], str]) -> bool:
    began = clock.monotonic()
    try:
        text = act()
    except PsaError as error:
        return told(row, name, error, clock.monotonic() - began)
    row.steps.append(step(name, True, text, seconds=clock.monotonic() - began))
    row.save(update_fields=["steps", "psa_id", "url"])
    return True


def told(row: TicketTest, name: str, error: Any, seconds: float = 0.0) -> bool:
    text, advice = getattr(error, "text", str(error)), getattr(error, "advice", "")
    row.steps.append(step(name, False, text, advice=advice, seconds=seconds))
    row.save(update_fields=["steps"])
    return False


def step(name: str, is_fine: bool, text: str, *, advice: str = "", seconds: float = 0.0) -> dict[str, Any]:
    return {
        "step": name,
        "is_fine": is_fine,
        "text": text,
        "advice": advice,
        "seconds": round(seconds, 2),
    }


def apply(psa: Psa, wanted: WantedTicket, row: TicketTest) -> str:
    plan = psa.plan_ticket(wanted)
    if not plan.items:
        return "Nothing was left to do."
    item = psa.apply(plan).items[0]
    row.psa_id = row.psa_id or item.record_id
    row.url = str(item.answer.get("url", "")) or row.url
    return "The ticket is open." if wanted.state == "open" else "The ticket was closed."


def read(psa: Psa, row: TicketTest) -> str:
    state = psa.ticket(row.psa_id)
    row.url = state.url
    return f"Ticket {state.number} is there: “{state.summary}”."


def require_closed(psa: Psa, row: TicketTest) -> str:
    state = psa.ticket(row.psa_id)
    if not state.is_closed:
        raise PsaError(
            f"Ticket {state.number} is still open in the PSA.",
            advice="Close it there; look at the board’s rules.",
        )
    return f"Ticket {state.number} is closed."


def found_again(row: TicketTest, psa: Psa) -> bool:
    """The answer to the opening may be lost although the ticket is there."""
    for delay in (0.0, *deployment.SEARCH_DELAYS):
        time.sleep(min(delay, 5.0))
        try:
            found = psa.find_tickets(row.external_ref)
        except PsaError as error:
            logger.warning("A test ticket could not be looked for: %s", error.text)
            continue
        if found:
            row.psa_id = found[0].id
            row.steps.append(step("find", True, f"Ticket {found[0].number} had been opened after all."))
            return True
    return False
