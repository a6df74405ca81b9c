"""What should a condition's ticket be now, and make the PSA say so (asked by the dispatcher).

Facts are looked up and decided upon (`ticketdecisions`), an attempt is made (`ticketattempts`), and what came of it is
kept here.
"""

from __future__ import annotations

from collections.abc import Sequence

from alerts.models import Ticket
from alerts.ticketdecisions import Circumstances, condition_of, decide, facts_of
from integrations import outcomes
from integrations.dispatcher import Task
from integrations.models import Delivery
from integrations.outcomes import Outcome
from portal import clock, database


class Tickets:
    """The dispatcher's handler for the action *open a ticket*."""

    # --- Before: facts, in bulk, and the intent -----------------------------------------------------------------

    def prepare(self, deliveries: Sequence[Delivery]) -> list[Task | tuple[Delivery, Outcome]]:
        """About seven queries a batch, whatever its size."""
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
        rows = Ticket.objects.select_for_update(no_key=True).filter(condition__in=about, closed_at=None)
        tickets = {row.condition_id: row for row in rows.order_by("pk")} if about else {}
        changed = []
        for delivery, outcome in results:
            ticket = tickets.get(condition_of(delivery))
            if ticket is not None and outcome.facts:
                note(ticket, outcome)
                changed.append(ticket)
        database.save_all(
            changed, ["state", "psa_id", "number", "url", "opened_at", "closed_at", "sent_at", "misses"]
        )


def note(ticket: Ticket, outcome: Outcome) -> None:
    """What an attempt learned, on the ticket's row."""
    facts, now = outcome.facts, clock.now()
    ticket.misses = facts.get("misses", 0)
    if psa_id := facts.get("psa_id"):
        ticket.psa_id, ticket.number, ticket.url = psa_id, facts["number"], facts["url"]
        ticket.state, ticket.opened_at = Ticket.State.OPEN, ticket.opened_at or now
    if facts.get("is_sent"):
        ticket.sent_at = now
    elif psa_id or facts.get("is_unsent"):
        ticket.sent_at = None
    if number := facts.get("number"):
        ticket.number = number
    if facts.get("is_closed"):
        ticket.state, ticket.closed_at = Ticket.State.CLOSED, now
    if facts.get("is_gone"):
        ticket.state, ticket.closed_at = Ticket.State.GONE, now
