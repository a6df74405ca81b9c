"""One attempt about one ticket, at the PSA (run in the dispatcher's threads; no database).

Our key travels inside the ticket; after an outcome that is not known we search for it and create again only when two
searches found nothing: well apart when the answer was lost, nearer when the PSA said itself that it failed. A known
ticket is followed wherever people have put it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from django.conf import settings

from alerts.models import Ticket
from integrations import outcomes
from integrations.models import Delivery, Status
from integrations.outcomes import Outcome
from integrations.psa.errors import AddressRefused, Misconfigured, NotFound, PsaError, Rejected
from integrations.psa.plan import AppliedItem, Plan
from integrations.psa.port import Psa, TicketState
from integrations.psa.wanted import WantedTicket
from portal import chaos

Step = Literal["create", "look", "close", "reopen", "remind"]
HARMLESS = ("board_id", "company_id", "summary", "parent_id")
MOST_MERGES = 5
LEFT = {"touched", "child", "merged", "no_closing_status"}
"""Findings of a closing plan that leave the ticket to people."""
EARLY_CREATES = 3
PATIENCE_WITH_SEARCHES = 3
"""So many more failures than usual cost the shortest pause: to ask again risks nothing, and a ticket waits for it."""


def came_of_it(status: str, reason: str, text: str) -> str:
    """What an attempt did to a ticket, in a word: opened, closed, reopened, told or left; of any other its reason.

    A delivery keeps no more of it than its sentence; these are the sentences of `TicketTask`.
    """
    if status != Status.DONE:
        return reason or status
    for ending, word in WORDS.items():
        if text.endswith(ending):
            return word
    return "left"


WORDS = {
    "is open again.": "reopened",
    "is open.": "opened",
    "found by our key and adopted.": "opened",
    "is closed.": "closed",
    "was told.": "told",
    "been told already.": "told",
}


def is_for_good(error: PsaError) -> bool:
    """Whether the PSA answered, with a no that no pause and no other connection would turn into a yes."""
    is_refused = isinstance(error, Rejected | Misconfigured) and not isinstance(error, AddressRefused)
    return is_refused and not error.outcome_unknown


@dataclass
class TicketTask:
    """One attempt about one ticket. Runs in a thread, without the database.

    `is_new_episode`: the ticket is from an earlier spell of failing than `episode`, which has had `repeats`.
    `wanted.note` is what an open ticket is to be told. `misses_needed` searches must find nothing; 0: as many as there
    are delays.
    """

    delivery: Delivery
    ticket: Ticket
    wanted: WantedTicket
    step: Step
    search: bool
    writes: bool = True
    is_new_episode: bool = False
    episode: int = 0
    repeats: int = 0
    misses_needed: int = 0

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
        try:
            found = psa.find_tickets(self.wanted.external_ref)
        except PsaError as error:
            return outcomes.of_error(error, attempts=self.delivery.attempts, patience=PATIENCE_WITH_SEARCHES)
        chaos.point("searched")
        if found:
            return self.adopt(psa, found[0])
        self.delivery.search_first = False
        misses = self.ticket.misses + 1
        if misses < (self.misses_needed or len(self.delays)):
            text = "Not found at the PSA yet; it may appear late, so it is searched for once more."
            return Outcome(
                status=Status.UNKNOWN,
                reason="outcome_unknown",
                text=text,
                again_in=self.delays[misses],
                facts={"misses": misses},
            )
        return self.surely_not_created()

    @property
    def delays(self) -> Sequence[float]:
        """Seconds before each search for a ticket whose create was not answered with a yes."""
        was_answered = self.ticket.was_answered
        delays: Sequence[float] = settings.SEARCH_DELAYS_ANSWERED if was_answered else settings.SEARCH_DELAYS
        return delays

    def surely_not_created(self) -> Outcome:
        """Kept before anything is sent: the next attempt creates (or lets be) knowing that there is none.

        The next creates follow at once (the breaker spares a PSA that is down), from the fourth on after the usual
        pauses, of which the searches have taken their part; a PSA that fails each of them is not asked for ever.
        """
        text = "Searched for and not found: it was not created."
        failures = self.delivery.attempts - 1  # this attempt is a step, not a failure
        pauses = settings.RETRY_DELAYS
        if failures > len(pauses) + 1:
            gave_up = f"{text} The PSA failed {failures} times; reprocess it when the PSA is well."
            return Outcome(status=Status.FAILED, reason="gave_up", text=gave_up, facts={"is_unsent": True})
        pause = pauses[min(failures - EARLY_CREATES, len(pauses) - 1)] if failures > EARLY_CREATES else 0
        return Outcome(
            status=Status.WAITING,
            reason="surely_not_created",
            text=text,
            again_in=max(0, pause - sum(self.delays)),
            facts={"is_unsent": True},
        )

    def adopt(self, psa: Psa, found: TicketState) -> Outcome:
        facts: dict[str, Any] = {
            "psa_id": found.id,
            "number": found.number,
            "url": found.url,
            "is_closed": found.is_closed,
            "first": self.first_of(found),
        }
        if self.step != "close" or found.is_closed:
            return outcomes.done(f"Ticket {found.number} was found by our key and adopted.", **facts)
        outcome = self.write(psa, replace(self.wanted, known_id=found.id, state="closed"))
        outcome.facts = {**facts, **outcome.facts}
        return outcome

    def first_of(self, found: TicketState) -> dict[str, str]:
        """How a ticket that is found later was at first: as we wanted it, as far as we said."""
        sent = {
            name: value
            for name in ("status_id", "priority_id", "board_id", "company_id")
            if (value := getattr(self.wanted, name))
        }
        return {**found.as_first(), **sent, "entered_by": found.entered_by}

    # --- The ticket is known ------------------------------------------------------------------------------------

    def look(self, psa: Psa) -> Outcome:
        """The condition fails while its ticket is open with us: where is it at the PSA, and what is it to be told?"""
        followed: list[str] = []
        try:
            own = psa.ticket(self.ticket.psa_id)
            state = own
            while state.merged_into and len(followed) < MOST_MERGES:
                followed.append(f"Ticket {state.number} was merged into another one, which is followed.")
                state = psa.ticket(state.merged_into)
        except NotFound:
            text = " ".join([*followed, "The ticket was deleted in the PSA; a new one is opened."])
            return self.again_with_new(text)
        told = [*followed, *self.movements(own)]
        if state.is_closed and self.is_new_episode:
            return self.again_with_new(f"Ticket {state.number} was closed in the PSA; a new one is opened.")
        if state.is_closed:
            text = (
                f"Ticket {state.number} was closed in the PSA while the problem goes on: acknowledged, no other"
                " ticket is opened."
            )
            return outcomes.skipped("acknowledged", " ".join([*told, text]), is_acknowledged=True)
        facts = self.facts_of_look(own, state)
        if not self.wanted.note:
            text = f"Ticket {state.number} is open already."
            return outcomes.skipped("folded", " ".join([*told, text]), **facts)
        outcome = self.write(psa, replace(self.wanted, known_id=state.id))
        outcome.text = " ".join([*told, outcome.text])
        outcome.facts = {**facts, **outcome.facts}
        return outcome

    def facts_of_look(self, own: TicketState, state: TicketState) -> dict[str, Any]:
        facts: dict[str, Any] = {"seen": own, "episode": self.episode}
        if state.id != own.id:
            facts["merged_into"] = state.id
        elif own.updated_by not in ("", own.entered_by) and not self.movements(own):
            facts["touched_by"] = own.updated_by
        return facts

    def movements(self, now: TicketState) -> list[str]:
        """What people did to the place of the ticket, as sentences."""
        first, is_now = self.ticket.first, now.as_first()
        words = {
            "board_id": "is on another board",
            "company_id": "belongs to another PSA company, so the client’s mapping may be wrong",
            "summary": "was renamed",
            "parent_id": f"is a child of {now.parent_id}",
        }
        return [
            f"Ticket {now.number} {words[name]}."
            for name in HARMLESS
            if is_now[name] and is_now[name] != first.get(name, "" if name == "parent_id" else is_now[name])
        ]

    def again_with_new(self, text: str) -> Outcome:
        return Outcome(
            status=Status.WAITING,
            reason="ticket_gone",
            text=text,
            again_in=0,
            facts={"is_gone": True, "why": text},
        )

    # --- Writing ------------------------------------------------------------------------------------------------

    def write(self, psa: Psa, wanted: WantedTicket) -> Outcome:
        try:
            plan = psa.plan_ticket(wanted)
        except NotFound:
            return self.not_there()
        except (Rejected, Misconfigured) as error:
            if self.step == "reopen" and is_for_good(error):
                return self.not_reopened(psa, error)
            raise
        chaos.point("planned")
        if not plan.items:
            return self.nothing_to_write(plan)
        if not self.writes:
            return outcomes.skipped(
                "observe", "Observe mode: planned, not written.", plan=plan, is_unsent=True
            )
        try:
            chaos.point(f"before-{self.step}")
            applied = psa.apply(plan)
            chaos.point(f"after-{self.step}")
        except PsaError as error:
            is_refused = self.step == "reopen" and is_for_good(error) and not isinstance(error, NotFound)
            outcome = self.not_reopened(psa, error) if is_refused else self.failed(error)
            outcome.plan = plan
            return outcome
        return self.succeeded(applied.items, plan)

    def not_there(self) -> Outcome:
        text = "The ticket is no longer in the PSA."
        if self.step in ("look", "reopen", "remind"):
            return self.again_with_new(f"{text} A new one is opened.")
        return outcomes.skipped("ticket_gone", text, is_closed=True)

    def not_reopened(self, psa: Psa, refused: PsaError) -> Outcome:
        """The PSA will not have it, neither now nor later: the problem gets a new ticket, unless only the note was
        refused and the ticket is open.
        """
        try:
            state = psa.ticket(self.ticket.psa_id)
        except NotFound:
            return self.not_there()
        except PsaError as error:
            return self.failed(error)
        if state.is_closed:
            text = f"Ticket {state.number} could not be opened again: {refused.text}"
            return self.again_with_new(f"{text} A new one is opened.")
        text = f"It could not be told why: {refused.text} Ticket {state.number} is open again."
        return outcomes.done(text, is_reopened=True)

    def nothing_to_write(self, plan: Plan) -> Outcome:
        """All is as wanted, or a person was first."""
        if left := self.left_by(plan):
            if self.step == "reopen":
                return self.again_with_new(f"{left} A new one is opened.")
            return self.left_to_people(left, plan)
        if self.step == "reopen":
            return outcomes.done("The ticket is open again.", plan=plan, is_reopened=True)
        if self.step in ("look", "remind"):
            return outcomes.done("The ticket has been told already.", plan=plan, **self.told())
        return outcomes.skipped("already_closed", "The ticket is closed already.", plan=plan, is_closed=True)

    def left_by(self, plan: Plan) -> str:
        return next((finding.text for finding in plan.findings if finding.code in LEFT), "")

    def left_to_people(self, left: str, plan: Plan) -> Outcome:
        """A merged ticket is over at the PSA, and here; where it went into is known if its problem comes back."""
        if into := plan.found.get("merged_into"):
            return outcomes.done(left, plan=plan, is_closed=True, merged_into=into)
        return outcomes.done(left, plan=plan, left=left, is_unsent=True)

    def told(self) -> dict[str, Any]:
        if self.step == "remind":
            return {"is_reminded": True}
        return {"is_noted": True, "repeats": self.repeats}

    def failed(self, error: PsaError) -> Outcome:
        if self.step == "create" and not self.ticket.psa_id:
            if error.outcome_unknown:
                facts = {"is_sent": True, "was_answered": error.was_answered}
                self.ticket.was_answered = error.was_answered
                return outcomes.unknown(error, again_in=self.delays[0], **facts)
            outcome = outcomes.of_error(error, attempts=self.delivery.attempts)
            outcome.facts["is_unsent"] = True
            return outcome
        if isinstance(error, NotFound):
            return self.not_there()
        outcome = outcomes.of_error(error, attempts=self.delivery.attempts)
        if self.step in ("close", "reopen"):
            outcome.facts["is_sent" if error.outcome_unknown else "is_unsent"] = True
        elif not error.outcome_unknown and self.step in ("look", "remind"):
            outcome.facts["is_not_noted"] = True
        return outcome

    def succeeded(self, items: tuple[AppliedItem, ...], plan: Plan) -> Outcome:
        item = items[0]
        number = str(item.answer.get("number") or self.ticket.number or item.record_id)
        if self.step == "close":
            if left := self.left_by(plan):
                return self.left_to_people(left, plan)
            return outcomes.done(f"Ticket {number} is closed.", plan=plan, is_closed=True, number=number)
        if self.step == "reopen":
            return outcomes.done(f"Ticket {number} is open again.", plan=plan, is_reopened=True)
        if self.step in ("look", "remind"):
            return outcomes.done(f"Ticket {number} was told.", plan=plan, **self.told())
        url = str(item.answer.get("url", ""))
        first = {name: str(value or "") for name, value in dict(item.answer.get("first") or {}).items()}
        text = f"Ticket {number} is open."
        return outcomes.done(
            text, plan=plan, is_closed=False, psa_id=item.record_id, number=number, url=url, first=first
        )
