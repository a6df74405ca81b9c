"""One attempt about one ticket, at the PSA (run in the dispatcher's threads; no database).

Our key travels inside the ticket; after an outcome that is not known we search for it and create again only when two
searches, well apart, found nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from django.conf import settings

from alerts.models import Ticket
from integrations import outcomes
from integrations.models import Delivery, Status
from integrations.outcomes import Outcome
from integrations.psa.errors import NotFound, PsaError
from integrations.psa.plan import AppliedItem, Plan
from integrations.psa.port import Psa, TicketState
from integrations.psa.wanted import WantedTicket
from portal import chaos

Step = Literal["create", "look", "close"]


@dataclass
class TicketTask:
    """One attempt about one ticket. Runs in a thread, without the database."""

    delivery: Delivery
    ticket: Ticket
    wanted: WantedTicket
    step: Step
    search: bool
    writes: bool = True
    misses_needed: int = field(default_factory=lambda: len(settings.SEARCH_DELAYS))

    def run(self, psa: Psa) -> Outcome:
        if self.search and not self.ticket.psa_id:
            return self.find(psa)
        if self.step == "look":
            return self.look(psa)
        return self.write(psa, self.wanted)

    # --- The search step ----------------------------------------------------------------------------------------

    def find(self, psa: Psa) -> Outcome:
        """Look for our key. Found: adopt. Not found: once more later, because the PSA may commit late."""
        chaos.point("before-search")
        found = psa.find_tickets(self.wanted.external_ref)
        chaos.point("searched")
        if found:
            return self.adopt(psa, found[0])
        self.delivery.search_first = False
        misses = self.ticket.misses + 1
        if misses < self.misses_needed:
            text = "Not found at the PSA yet; it may appear late, so it is searched for once more."
            return Outcome(
                status=Status.UNKNOWN,
                reason="outcome_unknown",
                text=text,
                again_in=settings.SEARCH_DELAYS[misses],
                facts={"misses": misses},
            )
        return self.surely_not_created()

    def surely_not_created(self) -> Outcome:
        """Kept before anything is sent: the next attempt creates (or lets be) knowing that there is none.

        The second create follows at once, later ones after the usual pauses; a PSA that fails each of them is not asked
        for ever.
        """
        text = "Searched for and not found: it was not created."
        failures = self.delivery.attempts - 1  # this attempt is a step, not a failure
        pauses = settings.RETRY_DELAYS
        if failures > len(pauses) + 1:
            gave_up = f"{text} The PSA failed {failures} times; reprocess it when the PSA is well."
            return Outcome(status=Status.FAILED, reason="gave_up", text=gave_up, facts={"is_unsent": True})
        return Outcome(
            status=Status.WAITING,
            reason="surely_not_created",
            text=text,
            again_in=pauses[min(failures, len(pauses)) - 1] if failures > 1 else 0,
            facts={"is_unsent": True},
        )

    def adopt(self, psa: Psa, found: TicketState) -> Outcome:
        facts: dict[str, Any] = {
            "psa_id": found.id,
            "number": found.number,
            "url": found.url,
            "is_closed": found.is_closed,
        }
        if self.step != "close" or found.is_closed:
            return outcomes.done(f"Ticket {found.number} was found by our key and adopted.", **facts)
        outcome = self.write(psa, closing(self.wanted, found.id))
        outcome.facts = {**facts, **outcome.facts}
        return outcome

    # --- The ticket is known ------------------------------------------------------------------------------------

    def look(self, psa: Psa) -> Outcome:
        """The condition fails again while its ticket is open with us: is it, at the PSA?"""
        try:
            state = psa.ticket(self.ticket.psa_id)
        except NotFound:
            return self.again_with_new("The ticket was deleted in the PSA; a new one is opened.")
        if state.is_closed:
            return self.again_with_new(f"Ticket {state.number} was closed in the PSA; a new one is opened.")
        return outcomes.skipped("folded", f"Ticket {state.number} is open already.")

    def again_with_new(self, text: str) -> Outcome:
        return Outcome(
            status=Status.WAITING, reason="ticket_gone", text=text, again_in=0, facts={"is_gone": True}
        )

    def write(self, psa: Psa, wanted: WantedTicket) -> Outcome:
        try:
            plan = psa.plan_ticket(wanted)
        except NotFound:
            return outcomes.skipped("ticket_gone", "The ticket is no longer in the PSA.", is_closed=True)
        chaos.point("planned")
        if not plan.items:
            return outcomes.skipped(
                "already_closed", "The ticket is closed already.", plan=plan, is_closed=True
            )
        if not self.writes:
            return outcomes.skipped(
                "observe", "Observe mode: planned, not written.", plan=plan, is_unsent=True
            )
        try:
            chaos.point(f"before-{self.step}")
            applied = psa.apply(plan)
            chaos.point(f"after-{self.step}")
        except PsaError as error:
            outcome = self.failed(error)
            outcome.plan = plan
            return outcome
        return self.succeeded(applied.items[-1], plan)

    def failed(self, error: PsaError) -> Outcome:
        if self.step == "create" and not self.ticket.psa_id:
            if error.outcome_unknown:
                return outcomes.unknown(error, again_in=settings.SEARCH_DELAYS[0], is_sent=True)
            outcome = outcomes.of_error(error, attempts=self.delivery.attempts)
            outcome.facts["is_unsent"] = True
            return outcome
        if isinstance(error, NotFound):
            return outcomes.skipped("ticket_gone", "The ticket is no longer in the PSA.", is_closed=True)
        outcome = outcomes.of_error(error, attempts=self.delivery.attempts)
        outcome.facts["is_sent" if error.outcome_unknown else "is_unsent"] = True
        return outcome

    def succeeded(self, item: AppliedItem, plan: Plan) -> Outcome:
        number = str(item.answer.get("number") or self.ticket.number or item.record_id)
        if self.step == "close":
            merged = next((finding.text for finding in plan.findings if finding.code == "merged"), "")
            text = merged or f"Ticket {number} is closed."
            return outcomes.done(text, plan=plan, is_closed=True, number=number)
        url = str(item.answer.get("url", ""))
        text = f"Ticket {number} is open."
        return outcomes.done(text, plan=plan, is_closed=False, psa_id=item.record_id, number=number, url=url)


def closing(wanted: WantedTicket, psa_id: str) -> WantedTicket:
    values = {**vars(wanted), "known_id": psa_id, "state": "closed"}
    return WantedTicket(**values)
