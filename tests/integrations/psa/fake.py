"""An in-memory PSA for the tests of other rooms: the port's promises without any wire.

    psa = FakePsa()
    psa.fail("apply", Unreachable("lost", outcome_unknown=True), commits=True)     # done, but the answer is lost
    psa.technician_closes(ticket_id)

What a real adapter would send stands in `psa.sent`; the verbs that were called stand in `psa.calls`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

from integrations.psa.errors import Misconfigured, NotFound, PsaError
from integrations.psa.kinds import ABILITIES
from integrations.psa.plan import Applied, AppliedItem, Finding, Plan, PlanItem, Request
from integrations.psa.port import Check, ChoiceKind, Feature, LineState, Option, TicketState
from integrations.psa.wanted import WantedLine, WantedLines, WantedTicket

Commits = Literal["no", "yes", "late"]


@dataclass
class Fault:
    """What one verb raises, how often, and whether the write happens all the same (or later, at `settle`)."""

    verb: str
    error: PsaError
    times: int | None = 1
    commits: Commits = "no"


@dataclass
class FakePsa:
    kind: str = "connectwise"
    tickets: dict[str, TicketState] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    described: dict[str, str] = field(default_factory=dict)
    agreements: dict[str, list[LineState]] = field(default_factory=dict)
    options: list[Option] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    sent: list[PlanItem] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    is_closed: bool = False
    now: datetime = datetime(2026, 11, 21, 12, tzinfo=UTC)
    _late: list[PlanItem] = field(default_factory=list)
    _last_id: int = 1000

    # --- set-up and mischief

    def fail(
        self,
        verb: str,
        error: PsaError,
        *,
        times: int | None = 1,
        commits: bool | Commits = "no",
    ) -> None:
        """`times` None: until `heal`. `commits` matters for "apply" only."""
        how: Commits = commits if isinstance(commits, str) else ("yes" if commits else "no")
        self.faults.append(Fault(verb=verb, error=error, times=times, commits=how))

    def heal(self) -> None:
        self.faults.clear()

    def settle(self) -> None:
        """Let the late commits happen."""
        while self._late:
            self._carry_out(self._late.pop(0))

    def add_option(self, kind: ChoiceKind, id: str, name: str, within: str = "", **data: Any) -> Option:
        option = Option(kind=kind, id=id, name=name, within=within, data=data)
        self.options.append(option)
        return option

    def add_line(self, agreement_id: str, **values: Any) -> LineState:
        usual = {"id": self._next_id(), "product_id": "301", "product_name": "OBS-GB", "quantity": "0"}
        blank = {"less_included": "0", "serial_number": "", "invoice_description": "", "cancelled_on": None}
        line = LineState(**{**usual, **blank, **values})
        self.agreements.setdefault(agreement_id, []).append(line)
        return line

    def technician_closes(self, ticket_id: str) -> None:
        self._change(ticket_id, is_closed=True, updated_by="technician")

    def technician_moves(self, ticket_id: str, board_id: str, status_id: str | None = None) -> None:
        self._change(ticket_id, board_id=board_id, status_id=status_id, updated_by="technician")

    def technician_merges(self, ticket_id: str, into: str) -> None:
        self._change(ticket_id, merged_into=into, is_closed=True, updated_by="technician")

    def technician_deletes(self, ticket_id: str) -> None:
        del self.tickets[ticket_id]

    # --- the port

    def check(self, features: Collection[Feature]) -> list[Check]:
        self._called("check")
        return self.checks or [Check(name=feature, verdict="passed") for feature in sorted(features)]

    def companies(self, like: str = "") -> list[Option]:
        return [option for option in self.choices("company") if like.casefold() in option.name.casefold()]

    def choices(self, kind: ChoiceKind, within: str = "") -> list[Option]:
        self._called("choices")
        return [option for option in self.options if option.kind == kind and within in ("", option.within)]

    def lines(self, agreement_id: str) -> list[LineState]:
        self._called("lines")
        return list(self.agreements.get(agreement_id, []))

    def ticket(self, ticket_id: str) -> TicketState:
        self._called("ticket")
        return self._ticket(ticket_id)

    def find_tickets(self, external_ref: str) -> list[TicketState]:
        self._called("find_tickets")
        return [ticket for ticket in self.tickets.values() if ticket.external_ref == external_ref]

    def recent_tickets(self, ref_prefix: str, since: datetime) -> list[TicketState]:
        self._called("recent_tickets")
        return [
            ticket
            for ticket in self.tickets.values()
            if ticket.external_ref.startswith(ref_prefix) and (ticket.entered_at or since) >= since
        ]

    def plan_ticket(self, wanted: WantedTicket) -> Plan:
        self._called("plan_ticket")
        return self._plan_close(wanted) if wanted.state == "closed" else self._plan_open(wanted)

    def plan_lines(self, wanted: WantedLines) -> Plan:
        self._called("plan_lines")
        current = self.agreements.get(wanted.agreement_id, [])
        claims = Counter(_claim(line, current) for line in wanted.lines)
        outcomes = [
            _planned_line(line, wanted, current, self.kind)
            if claims[_claim(line, current)] == 1
            else Finding(key=line.key, code="ambiguous_line", text="A line is meant twice.")
            for line in wanted.lines
        ]
        return Plan(
            subject=wanted.agreement_id,
            items=tuple(item for item in outcomes if isinstance(item, PlanItem)),
            unchanged=tuple(key for key in outcomes if isinstance(key, str)),
            findings=tuple(finding for finding in outcomes if isinstance(finding, Finding)),
        )

    def apply(self, plan: Plan) -> Applied:
        done: list[AppliedItem] = []
        for item in plan.items:
            try:
                self._called("apply", item)
                done.append(self._carry_out(item))
            except PsaError as error:
                error.applied = tuple(done)
                raise
        return Applied(items=tuple(done))

    def close(self) -> None:
        self.is_closed = True

    # --- inside

    def _called(self, verb: str, item: PlanItem | None = None) -> None:
        self.calls.append(verb)
        fault = next((fault for fault in self.faults if fault.verb == verb), None)
        if fault is None:
            return
        if fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                self.faults.remove(fault)
        if item and fault.commits == "yes":
            self._carry_out(item)
        if item and fault.commits == "late":
            self._late.append(item)
        raise fault.error

    def _carry_out(self, item: PlanItem) -> AppliedItem:
        self.sent.append(item)
        act = {
            ("create", "ticket"): self._create_ticket,
            ("update", "ticket"): self._close_ticket,
            ("note", "ticket"): self._add_note,
            ("create", "agreement line"): self._create_line,
            ("update", "agreement line"): self._change_line,
        }[item.action, item.record]
        record_id, answer = act(item, item.request.body)
        return AppliedItem(key=item.key, action=item.action, record_id=record_id, answer=answer)

    def _next_id(self) -> str:
        self._last_id += 1
        return str(self._last_id)

    def _ticket(self, ticket_id: str) -> TicketState:
        if ticket_id not in self.tickets:
            raise NotFound(f"There is no ticket {ticket_id}.", status=404)
        return self.tickets[ticket_id]

    def _change(self, ticket_id: str, **changes: Any) -> TicketState:
        self.tickets[ticket_id] = replace(self._ticket(ticket_id), **changes)
        return self.tickets[ticket_id]

    def _create_ticket(self, item: PlanItem, body: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        self._require_status_of_the_board(body["status_id"], body["board_id"])
        ticket_id = self._next_id()
        self.described[ticket_id] = body["description"]
        self.tickets[ticket_id] = TicketState(
            id=ticket_id,
            number=ticket_id,
            url=f"https://psa.example.com/tickets/{ticket_id}",
            external_ref=body["external_ref"],
            summary=body["summary"],
            is_closed=False,
            board_id=body["board_id"],
            status_id=body["status_id"],
            company_id=body["company_id"],
            updated_by="portal",
            entered_at=self.now,
        )
        return ticket_id, _shown(self.tickets[ticket_id])

    def _close_ticket(self, item: PlanItem, body: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        ticket_id = item.record_id or ""
        status = next((o for o in self.options if o.kind == "status" and o.id == body["status_id"]), None)
        if status and not status.data.get("closed", True):
            raise Misconfigured(
                f"Status {status.name} does not close tickets.",
                field="closing_status",
                advice="Choose another closing status.",
            )
        return ticket_id, _shown(self._change(ticket_id, is_closed=True, **body))

    def _add_note(self, item: PlanItem, body: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        ticket_id = self._ticket(item.record_id or "").id
        self.notes.setdefault(ticket_id, []).append(body["text"])
        return ticket_id, {"note_id": self._next_id()}

    def _create_line(self, item: PlanItem, body: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        values = {name: value for name, value in body.items() if name != "agreement_id" and value is not None}
        line = self.add_line(body["agreement_id"], **values)
        return line.id, {"quantity": line.quantity, "product_id": line.product_id}

    def _change_line(self, item: PlanItem, body: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        for lines in self.agreements.values():
            for position, line in enumerate(lines):
                if line.id == item.record_id:
                    lines[position] = replace(line, **body)
                    return line.id, {"quantity": lines[position].quantity, "product_id": line.product_id}
        raise NotFound(f"There is no line {item.record_id}.", status=404)

    def _require_status_of_the_board(self, status_id: str | None, board_id: str | None) -> None:
        """As far as this fake was told of statuses and boards."""
        if not status_id or not board_id:
            return
        statuses = [one for one in self.options if one.kind == "status" and one.within]
        if board_id not in {one.within for one in statuses}:
            return
        if not [one for one in statuses if one.id == status_id and one.within == board_id]:
            text = f"Status {status_id} is not one of board {board_id}."
            raise Misconfigured(text, field="status", advice="Choose the status again.")

    def _closing_status(self, wanted: WantedTicket, ticket: TicketState) -> str:
        """The chosen one; of a ticket that was moved, one of the board where it is now."""
        chosen = wanted.closing_status_id or "closed"
        if wanted.board_id is None or ticket.board_id in (None, wanted.board_id):
            return chosen
        there = [one for one in self.options if one.kind == "status" and one.within == ticket.board_id]
        return next((one.id for one in there if one.data.get("closed")), chosen)

    def _plan_open(self, wanted: WantedTicket) -> Plan:
        if wanted.known_id is None:
            return Plan(subject=wanted.external_ref, items=(_create(wanted, self.kind),))
        notes = (_note(wanted, wanted.known_id, wanted.note),) if wanted.note else ()
        return Plan(subject=wanted.external_ref, items=notes, unchanged=() if notes else ("ticket",))

    def _plan_close(self, wanted: WantedTicket) -> Plan:
        if wanted.known_id is None:
            return Plan(subject=wanted.external_ref, unchanged=("ticket",))
        ticket = self._ticket(wanted.known_id)
        if ticket.merged_into:
            note = _note(
                wanted, ticket.merged_into, wanted.note or f"The problem of #{ticket.number} is over."
            )
            finding = Finding(key="ticket", code="merged", text=f"#{ticket.number} was merged.")
            return Plan(subject=wanted.external_ref, items=(note,), findings=(finding,), found=_shown(ticket))
        if ticket.is_closed:
            return Plan(subject=wanted.external_ref, unchanged=("ticket",), found=_shown(ticket))
        notes = (_note(wanted, ticket.id, wanted.note),) if wanted.note else ()
        return Plan(
            subject=wanted.external_ref,
            items=(_close(self._closing_status(wanted, ticket), ticket), *notes),
            found=_shown(ticket),
        )


def _shown(ticket: TicketState) -> dict[str, Any]:
    names = ("id", "number", "url", "is_closed", "status_id", "board_id", "merged_into", "updated_by")
    return {name: getattr(ticket, name) for name in names}


def _create(wanted: WantedTicket, kind: str) -> PlanItem:
    names = ("external_ref", "company_id", "board_id", "status_id", "priority_id")
    body = {name: getattr(wanted, name) for name in names}
    body["summary"] = " ".join(wanted.summary.split())[: ABILITIES[kind].summary_length]
    body["description"] = wanted.description[: ABILITIES[kind].description_length]
    return PlanItem(
        key="create",
        action="create",
        record="ticket",
        record_id=None,
        before={},
        after={"summary": body["summary"], "is_closed": False},
        reason="The problem has no ticket yet.",
        request=Request(method="POST", path="/tickets", body=body),
    )


def _close(status_id: str, ticket: TicketState) -> PlanItem:
    after = {"status_id": status_id}
    return PlanItem(
        key="close",
        action="update",
        record="ticket",
        record_id=ticket.id,
        before={"status_id": ticket.status_id, "is_closed": False},
        after={**after, "is_closed": True},
        reason="The problem is over.",
        request=Request(method="PATCH", path=f"/tickets/{ticket.id}", body=after),
    )


def _note(wanted: WantedTicket, ticket_id: str, text: str) -> PlanItem:
    return PlanItem(
        key="note",
        action="note",
        record="ticket",
        record_id=ticket_id,
        before={},
        after={"text": text},
        reason=f"{wanted.external_ref} is told what happened.",
        request=Request(method="POST", path=f"/tickets/{ticket_id}/notes", body={"text": text}),
    )


def _claim(wanted: WantedLine, current: list[LineState]) -> tuple[str, ...]:
    """Two wishes for one line, or for one new line, are for a person."""
    lines = [line.id for line in _found(wanted, current)]
    if lines or not wanted.create_if_missing:
        return ("lines", *lines) if lines else ("none", wanted.key)
    return ("new", wanted.product_id, wanted.serial_number)


def _found(wanted: WantedLine, current: list[LineState]) -> list[LineState]:
    open_lines = [line for line in current if line.cancelled_on is None]
    same = [line for line in open_lines if line.product_id == wanted.product_id]
    exact = [line for line in same if line.serial_number == wanted.serial_number]
    return [line for line in open_lines if line.id == wanted.line_id] if wanted.line_id else exact or same


def _planned_line(
    wanted: WantedLine, agreement: WantedLines, current: list[LineState], kind: str
) -> PlanItem | Finding | str:
    found = _found(wanted, current)
    if len(found) > 1:
        return Finding(key=wanted.key, code="ambiguous_line", text=f"{len(found)} lines have the product.")
    if found:
        return _line_update(wanted, agreement, found[0], kind) or wanted.key
    if not wanted.create_if_missing:
        return Finding(key=wanted.key, code="line_missing", text=f"No line for {wanted.product_name}.")
    body = {
        "agreement_id": agreement.agreement_id,
        "product_id": wanted.product_id,
        "product_name": wanted.product_name,
        "quantity": f"{wanted.quantity}",
        "serial_number": wanted.serial_number,
        "invoice_description": wanted.invoice_description,
    }
    return PlanItem(
        key=wanted.key,
        action="create",
        record="agreement line",
        record_id=None,
        before={},
        after=body,
        reason="Used and not yet on the agreement.",
        request=Request(method="POST", path=f"/agreements/{agreement.agreement_id}/lines", body=body),
    )


def _line_update(wanted: WantedLine, agreement: WantedLines, line: LineState, kind: str) -> PlanItem | None:
    after: dict[str, Any] = {}
    if Decimal(line.quantity) != wanted.quantity:
        after["quantity"] = f"{wanted.quantity}"
    if wanted.invoice_description is not None:
        text = wanted.invoice_description[: ABILITIES[kind].invoice_description_length]
        after |= {"invoice_description": text} if text != line.invoice_description else {}
    if not after:
        return None
    return PlanItem(
        key=wanted.key,
        action="update",
        record="agreement line",
        record_id=line.id,
        before={name: getattr(line, name) for name in after},
        after=after,
        reason="Differs from the usage.",
        request=Request(
            method="PATCH", path=f"/agreements/{agreement.agreement_id}/lines/{line.id}", body=after
        ),
    )
