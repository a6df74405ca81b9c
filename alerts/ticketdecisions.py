"""What has to be done about a condition's ticket at this moment, and where (asked by the handler `alerts.tickets`).

Each attempt computes from the facts of its moment: is the condition failing, does anybody want a ticket, what do we
know of the one we opened. No queries here, but for a ticket at another connection; no network.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta

from django.conf import settings

from alerts import catchup
from alerts.circumstances import Circumstances, Facts
from alerts.lifecycle import (
    again_note,
    is_reminder_due,
    may_note,
    moment,
    over_note,
    reminder_note,
    repeat_note,
    told_repeats,
)
from alerts.models import Ticket
from alerts.ticketattempts import Step, TicketTask
from alerts.wantedticket import level_of
from integrations import companies, eventlog, outcomes
from integrations.models import Credentials, Status
from integrations.models.connections import Kind
from integrations.outcomes import Outcome
from portal import inheritance

logger = logging.getLogger(__name__)


def decide(fact: Facts, around: Circumstances) -> Outcome | TicketTask:
    """What this attempt has to do and where, or why nothing."""
    if stop := around.disabled.get(fact.condition.client_id):
        return catchup.held(stop)
    if not fact.is_wanted:
        return decide_closing(fact, around)
    client = fact.condition.client
    if (way := way_to_the_right_connection(fact, around)) is not None:
        return way
    company = around.company_of(client)
    if company is None:
        return outcomes.held(
            companies.WAITS,
            f"{client.name} is not mapped to a PSA company. Map it; the ticket is then opened.",
        )
    if not company:
        return outcomes.skipped("client_skipped", f"{client.name} is mapped to “skip”.")
    if fact.ticket is None and (answer := decide_after(fact, around, company)) is not None:
        return answer
    if fact.ticket is not None and fact.ticket.psa_id:
        if fact.ticket.state != Ticket.State.OPENING and (wait := still_unsure(fact.ticket, around.now)) > 0:
            text = (
                "It was being closed when it was needed again; whether it was is looked at when that is sure."
            )
            return Outcome(status=Status.WAITING, reason="still_closing", text=text, again_in=wait)
        return decide_open(fact, around, company, fact.ticket)
    return decide_opening(fact, around, company)


def decide_open(fact: Facts, around: Circumstances, company: str, ticket: Ticket) -> Outcome | TicketTask:
    """The problem has a ticket that is open with us: is there anything to tell it, or to look for?"""
    if ticket.state == Ticket.State.OPENING:
        return reopening(fact, around, company, ticket)
    condition, delivery = fact.condition, fact.delivery
    is_new = ticket.episode != condition.episode
    note = note_for(fact, around, ticket)
    was_asked_before = ticket.opened_at is not None and delivery.created_at <= ticket.opened_at
    if not note and not is_new and was_asked_before and not delivery.search_first:
        return outcomes.skipped("folded", f"Ticket {ticket} is open already.")
    task = task_for(fact, around, company, ticket, step="look", search=False)
    task.is_new_episode = is_new
    task.wanted = replace(task.wanted, note=note, may_have_note=bool(ticket.pending_note))
    if note and task.writes:
        ticket.pending_note = note
        around.touched.append(ticket)
    return task


def note_for(fact: Facts, around: Circumstances, ticket: Ticket) -> str:
    """What an open ticket is to be told: that the problem is back, or how often it repeated, within the budget."""
    condition = fact.condition
    if ticket.pending_note:
        return ticket.pending_note
    if ticket.episode != condition.episode:
        return again_note(condition)
    life = around.life_of(condition)
    if condition.repeats > told_repeats(condition, ticket) and may_note(ticket, life, around.now):
        return repeat_note(condition, ticket)
    return ""


def decide_after(fact: Facts, around: Circumstances, company: str) -> Outcome | TicketTask | None:
    """The problem has no open ticket, but had one: acknowledged, opened again, or None for a new one."""
    former, condition = around.former.get(fact.condition.pk), fact.condition
    if former is None or not former.psa_id or former.credentials_id != around.credentials.pk:
        return None
    life, now = around.life_of(condition), around.now
    is_there = former.state != Ticket.State.GONE
    if is_there and former.acknowledged_at is not None and former.episode == condition.episode:
        return decide_acknowledged(fact, around, company, former)
    if former.merged_into and former.state == Ticket.State.CLOSED:
        return decide_merged(fact, around, company, former)
    was_closed_by_us = former.state == Ticket.State.CLOSED and former.acknowledged_at is None
    is_recent = bool(life.reopen_within and former.closed_at and now - former.closed_at <= life.reopen_within)
    if not was_closed_by_us or not is_recent or former.left_at:
        return None
    task = reopening(fact, around, company, former)
    if task.writes:
        former.state, former.closed_at, former.sent_at = Ticket.State.OPENING, None, around.now
        former.episode = condition.episode
        around.touched.append(former)
    return task


def decide_merged(fact: Facts, around: Circumstances, company: str, former: Ticket) -> TicketTask:
    """The problem's former ticket was merged: it goes on in the other one, if that is still open."""
    task = task_for(fact, around, company, former, step="look", search=False)
    task.is_new_episode = True
    if task.writes:
        note = former.pending_note or again_note(fact.condition)
        task.wanted = replace(task.wanted, note=note, may_have_note=bool(former.pending_note))
        former.state, former.closed_at, former.sent_at = Ticket.State.OPEN, None, None
        former.acknowledged_at = former.reminded_at = None
        former.pending_note = note
        around.touched.append(former)
    return task


def reopening(fact: Facts, around: Circumstances, company: str, ticket: Ticket) -> TicketTask:
    """While the ticket is `opening` although it has an id, it may have been opened again already."""
    task = task_for(fact, around, company, ticket, step="reopen", search=False)
    may_have_note = ticket.state == Ticket.State.OPENING
    note = again_note(fact.condition)
    task.wanted = replace(task.wanted, reopens=True, note=note, may_have_note=may_have_note)
    return task


def decide_acknowledged(
    fact: Facts, around: Circumstances, company: str, former: Ticket
) -> Outcome | TicketTask | None:
    """A technician closed the ticket while the problem went on: no other ticket, but perhaps a reminder."""
    life = around.life_of(fact.condition)
    if not is_reminder_due(former, life, around.now):
        text = (
            f"Ticket {former} was closed in the PSA, which acknowledges the problem: no other ticket is opened"
            " while it lasts."
        )
        return outcomes.skipped("acknowledged", text)
    if life.reminder_opens_ticket:
        return None
    task = task_for(fact, around, company, former, step="remind", search=False)
    note = former.pending_note or reminder_note(fact.condition, former)
    task.wanted = replace(task.wanted, note=note, may_have_note=bool(former.pending_note))
    if task.writes:
        former.pending_note = note
        around.touched.append(former)
    return task


def earlier(former: Ticket | None) -> str:
    """What a new ticket says of the one before it; empty when that one came to its end as it should."""
    if former is None or not former.psa_id:
        return ""
    if former.state == Ticket.State.GONE:
        why = former.left_why or ("It was deleted in the PSA." if former.gone_at else "")
        return f"Earlier ticket about this: {former}. {why}".strip()
    if former.acknowledged_at is not None:
        return (
            f"Earlier ticket about this: {former}, closed by a technician {moment(former.acknowledged_at)}."
        )
    return ""


def still_unsure(ticket: Ticket, now: datetime) -> float:
    """For how many seconds yet a close or reopening that was sent, and not answered, may still be carried out."""
    if ticket.sent_at is None:
        return 0
    unsure = timedelta(seconds=settings.PSA_DEADLINE + sum(settings.SEARCH_DELAYS))
    return (ticket.sent_at + unsure - now).total_seconds()


def way_to_the_right_connection(fact: Facts, around: Circumstances) -> Outcome | None:
    """A ticket is wanted: None when this is the connection for it.

    That is the one in effect for the client; but while the ticket of the same condition may be open at another one that
    can be reached, it is looked at there. One that cannot be reached any more is left behind.
    """
    ticket, here = fact.ticket, around.credentials
    may_be_there = ticket is not None and bool(ticket.psa_id or ticket.sent_at)
    if ticket is not None and may_be_there and ticket.credentials_id == here.pk:
        return None
    if ticket is not None and may_be_there and is_reachable(there := connection_of(ticket)):
        return outcomes.elsewhere(there.lane, eventlog.AT_ITS_TICKET)
    lane = around.lanes[fact.condition.client_id]
    if lane is None:
        return outcomes.without_psa()
    if lane.pk != here.lane.pk:
        return outcomes.elsewhere(lane)
    if may_be_there:
        leave_behind(fact, around)
    elif ticket is not None and ticket.credentials_id != here.pk:
        ticket.credentials = here
        around.touched.append(ticket)
    return None


def connection_of(ticket: Ticket) -> Credentials:
    """Without its secret, which is nobody's business here."""
    found: Credentials = (
        Credentials.objects.select_related("lane").defer("secret").get(pk=ticket.credentials_id)
    )
    return found


def is_reachable(credentials: Credentials) -> bool:
    return credentials.kind != Kind.NONE and not credentials.lane.breaker and not credentials.lane.is_paused


def leave_behind(fact: Facts, around: Circumstances) -> None:
    """The client has another connection now; the ticket at the former one is closed by hand, if at all."""
    ticket = fact.ticket
    assert ticket is not None
    logger.warning("Ticket %s stays open at a former connection", ticket.number or ticket.external_ref)
    ticket.state, ticket.closed_at = Ticket.State.GONE, around.now
    around.touched.append(ticket)
    around.former[fact.condition.pk] = ticket
    fact.ticket = None


def decide_opening(fact: Facts, around: Circumstances, company: str) -> TicketTask:
    ticket = fact.ticket
    is_maybe_there = ticket is not None and ticket.sent_at is not None
    if ticket is None:
        ticket = around.new_ticket(fact.condition)
    elif not is_maybe_there:
        ticket.sent_at, ticket.misses, ticket.was_answered = around.now, 0, False
        around.touched.append(ticket)
    search = is_maybe_there or fact.delivery.search_first
    if ticket.episode != fact.condition.episode:
        ticket.episode = fact.condition.episode
        around.touched.append(ticket)
    task = task_for(fact, around, company, ticket, step="create", search=search)
    if not is_maybe_there:
        task.misses_needed = 1
    if reference := earlier(around.former.get(fact.condition.pk)):
        text = f"{task.wanted.description}\n\n{reference}"
        task.wanted = replace(task.wanted, description=text)
    return task


def decide_closing(fact: Facts, around: Circumstances) -> Outcome | TicketTask:
    ticket = fact.ticket
    if ticket is None:
        return outcomes.skipped("nothing_to_close", "There is no open ticket for this condition.")
    if not ticket.psa_id and ticket.sent_at is None:
        ticket.state, ticket.closed_at = Ticket.State.GONE, around.now
        around.touched.append(ticket)
        return outcomes.skipped("recovered_first", "All was well again before a ticket had to be opened.")
    if ticket.credentials_id != around.credentials.pk:
        if (there := connection_of(ticket)).kind != Kind.NONE:
            return outcomes.elsewhere(there.lane, eventlog.AT_ITS_TICKET)
        leave_behind(fact, around)
        name = ticket.number or ticket.external_ref
        return outcomes.skipped(
            "ticket_left",
            f"Ticket {name} is in a PSA that is not connected any more; close it there by hand.",
        )
    settings_of = around.settings[ticket.partner_id]
    if not settings_of.value("automatic_closure", level_of(fact.condition)).value:
        return outcomes.skipped("closure_off", "Automatic ticket closure is off; the ticket stays open.")
    if ticket.left_at is not None:
        return outcomes.skipped("left_to_people", f"Ticket {ticket} is left to people: {ticket.left_why}")
    if (
        ticket.psa_id
        and ticket.state == Ticket.State.OPENING
        and (wait := still_unsure(ticket, around.now)) > 0
    ):
        text = "It was being opened again when all was well; it is closed when it is sure whether it was."
        return Outcome(status=Status.WAITING, reason="still_reopening", text=text, again_in=wait)
    was_sent = ticket.psa_id and ticket.sent_at is not None
    if ticket.psa_id:
        ticket.sent_at, ticket.state = around.now, Ticket.State.OPEN
        around.touched.append(ticket)
    company = around.companies.get((fact.condition.client_id, ticket.credentials_id), "")
    task = task_for(fact, around, company, ticket, step="close", search=not ticket.psa_id)
    is_shared = ticket.psa_id in around.shared
    task.wanted = replace(
        task.wanted,
        parting_note=over_note(fact.condition),
        only_untouched=is_shared or around.life_of(fact.condition).closes_only_untouched,
        touched_by="the merge of another ticket whose problem goes on" if is_shared else ticket.touched_by,
        first=ticket.first,
        was_written_to=ticket.was_written_to,
        may_have_note=bool(was_sent),
        closing_statuses=around.statuses,
    )
    return task


def task_for(
    fact: Facts, around: Circumstances, company: str, ticket: Ticket, *, step: Step, search: bool
) -> TicketTask:
    settings_of = around.settings[ticket.partner_id]
    mode = inheritance.mode_of(fact.condition.client, "tickets", settings_of.tree)
    return TicketTask(
        delivery=fact.delivery,
        ticket=ticket,
        wanted=around.wanted(fact.condition, ticket, company, "closed" if step == "close" else "open"),
        episode=fact.condition.episode,
        repeats=fact.condition.repeats,
        step=step,
        search=search,
        writes=mode.value != "observe",
    )
