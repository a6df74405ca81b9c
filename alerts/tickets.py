"""What should a condition's ticket be now, and make the PSA say so (asked by the dispatcher).

Facts are looked up and decided upon (`ticketdecisions`), an attempt is made (`ticketattempts`), and what came of it is
kept here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Q

from alerts.circumstances import Circumstances, condition_of, facts_of
from alerts.following import follow_places
from alerts.lifecycle import count_note
from alerts.models import Ticket
from alerts.ticketdecisions import decide
from integrations import outcomes
from integrations.dispatcher import Task
from integrations.models import Delivery
from integrations.outcomes import Outcome
from portal import clock, database


class Tickets:
    """The dispatcher's handler for the action *open a ticket*."""

    # --- Before: facts, in bulk, and the intent -----------------------------------------------------------------

    def prepare(self, deliveries: Sequence[Delivery]) -> list[Task | tuple[Delivery, Outcome]]:
        """About a dozen queries a batch, whatever its size."""
        facts = facts_of(deliveries)
        known = {fact.delivery.pk for fact in facts}
        answers: list[Task | tuple[Delivery, Outcome]] = [
            (delivery, outcomes.skipped("condition_gone", "The condition no longer exists."))
            for delivery in deliveries
            if delivery.pk not in known
        ]
        if not facts:
            return answers
        circumstances = Circumstances.of(facts)
        for fact in facts:
            answer = decide(fact, circumstances)
            answers.append((fact.delivery, answer) if isinstance(answer, Outcome) else answer)
        circumstances.store_intents()
        return answers

    # --- After: what came of it, in bulk ------------------------------------------------------------------------

    def record(self, results: Sequence[tuple[Delivery, Outcome]]) -> None:
        about = {condition_of(delivery) for delivery, outcome in results if outcome.facts}
        rows = Ticket.objects.select_for_update(no_key=True).filter(condition__in=about)
        rows = rows.filter(Q(closed_at=None) | Q(acknowledged_at__isnull=False, reminded_at=None))
        # of several rows of a condition the last one counts: the open one, else the one acknowledged last
        tickets = {row.condition_id: row for row in rows.order_by("generation")} if about else {}
        changed, now = [], clock.now()
        for delivery, outcome in results:
            ticket = tickets.get(condition_of(delivery))
            if ticket is not None and outcome.facts:
                note(ticket, outcome, now)
                changed.append(ticket)
        database.save_all(changed, NOTED)


NOTED = (
    "state",
    "episode",
    "psa_id",
    "number",
    "url",
    "opened_at",
    "closed_at",
    "sent_at",
    "misses",
    "was_answered",
    "first",
    "touched_by",
    "was_written_to",
    "left_at",
    "left_why",
    "acknowledged_at",
    "reminded_at",
    "pending_note",
    "noted_repeats",
    "notes_from",
    "notes_used",
    "merged_into",
    "board_id",
    "moved_to",
    "company_id",
    "moved_to_company",
    "child_of",
)


def note(ticket: Ticket, outcome: Outcome, now: datetime) -> None:
    """What an attempt learned, on the ticket's row."""
    facts = outcome.facts
    ticket.misses = facts.get("misses", 0)
    if psa_id := facts.get("psa_id"):
        ticket.psa_id, ticket.number, ticket.url = psa_id, facts["number"], facts["url"]
        ticket.state, ticket.opened_at = Ticket.State.OPEN, ticket.opened_at or now
        ticket.first = facts.get("first") or ticket.first
    if facts.get("is_sent"):
        ticket.sent_at, ticket.was_answered = now, facts.get("was_answered", False)
    elif psa_id or facts.get("is_unsent"):
        ticket.sent_at = None
    if number := facts.get("number"):
        ticket.number = number
    note_what_was_told(ticket, facts, now)
    note_what_people_did(ticket, facts, now)
    if facts.get("is_closed"):
        ticket.state, ticket.closed_at = Ticket.State.CLOSED, now
    if facts.get("is_gone"):
        ticket.state, ticket.closed_at = Ticket.State.GONE, now
        ticket.left_why = facts.get("why", "")[:300]


def note_what_was_told(ticket: Ticket, facts: Mapping[str, Any], now: datetime) -> None:
    if facts.get("is_noted"):
        ticket.pending_note, ticket.was_written_to = "", True
        ticket.left_at, ticket.left_why = None, ""
        ticket.noted_repeats = facts["repeats"]
        count_note(ticket, now)
    if facts.get("is_reminded"):
        ticket.pending_note, ticket.reminded_at = "", now
    if facts.get("is_not_noted"):
        ticket.pending_note = ""
    if "episode" in facts and facts["episode"] != ticket.episode:
        ticket.episode = facts["episode"]
        ticket.noted_repeats = facts["repeats"] if facts.get("is_noted") else 0
    if facts.get("is_reopened"):
        ticket.state, ticket.was_written_to, ticket.noted_repeats = Ticket.State.OPEN, True, 0
        ticket.sent_at = None


def note_what_people_did(ticket: Ticket, facts: Mapping[str, Any], now: datetime) -> None:
    if left := facts.get("left"):
        ticket.left_at, ticket.left_why, ticket.was_written_to = now, left[:300], True
    if facts.get("is_acknowledged"):
        ticket.state, ticket.closed_at = Ticket.State.CLOSED, now
        ticket.acknowledged_at, ticket.pending_note = now, ""
    if touched_by := facts.get("touched_by"):
        ticket.touched_by = touched_by[:100]
    if state := facts.get("seen"):
        follow_places(ticket, state)
    if (into := facts.get("merged_into")) and into != ticket.psa_id:
        ticket.merged_into = into
