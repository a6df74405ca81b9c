"""An in-memory PSA for the tests of other rooms: the port's promises without any wire.

    psa = FakePsa()
    psa.fail("apply", Unreachable("lost", outcome_unknown=True), commits=True)     # done, but the answer is lost
    psa.technician_closes(ticket_id)

What a real adapter would send stands in `psa.sent`; the verbs that were called stand in `psa.calls`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal

from integrations.psa.errors import Misconfigured, NotFound, PsaError
from integrations.psa.kinds import ABILITIES
from integrations.psa.plan import Applied, AppliedItem, Finding, Plan, PlanItem, Request
from integrations.psa.port import (
    Check,
    ChoiceKind,
    Feature,
    InvoicedLine,
    LineState,
    Option,
    TicketState,
    Verdict,
)
from integrations.psa.reportsetup import WantedSetup
from integrations.psa.serials import key_of, not_one, squeezed
from integrations.psa.wanted import (
    WantedCallback,
    WantedDevice,
    WantedLine,
    WantedLines,
    WantedProduct,
    WantedReport,
    WantedTicket,
)

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
    callbacks: dict[str, str] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    reports: dict[tuple[str, str], dict[str, dict[str, int]]] = field(default_factory=dict)
    devices: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    invoices: dict[str, list[InvoicedLine]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    sent: list[PlanItem] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    changed: dict[tuple[ChoiceKind, str, str], datetime] = field(default_factory=dict)
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
        self.changed[kind, within, id] = self.now
        return option

    def change_option(self, kind: ChoiceKind, id: str, name: str = "", within: str = "", **data: Any) -> None:
        """Renamed, or `inactive=True`: not offered any more. Changed at `now`."""
        for position, option in enumerate(self.options):
            if (option.kind, option.within, option.id) == (kind, within, id):
                changed = replace(option, name=name or option.name, data={**option.data, **data})
                self.options[position] = changed
                self.changed[kind, within, id] = self.now

    def add_line(self, agreement_id: str, **values: Any) -> LineState:
        usual = {"id": self._next_id(), "product_id": "301", "product_name": "OBS-GB", "quantity": "0"}
        blank = {"less_included": "0", "serial_number": "", "invoice_description": "", "cancelled_on": None}
        line = LineState(**{**usual, **blank, **values})
        self.agreements.setdefault(agreement_id, []).append(line)
        return line

    def add_device(self, company_id: str, serial_number: str) -> None:
        self.devices[company_id, squeezed(serial_number)] = {}

    def technician_closes(self, ticket_id: str) -> None:
        self._change(ticket_id, is_closed=True, updated_by="technician")

    def technician_moves(self, ticket_id: str, board_id: str, status_id: str | None = None) -> None:
        self._change(ticket_id, board_id=board_id, status_id=status_id, updated_by="technician")

    def technician_merges(self, ticket_id: str, into: str) -> None:
        self._change(ticket_id, merged_into=into, is_closed=True, updated_by="technician")

    def technician_deletes(self, ticket_id: str) -> None:
        del self.tickets[ticket_id]

    # --- the port

    def check(self, features: Collection[Feature], observed: Collection[Feature] = ()) -> list[Check]:
        self._called("check")
        return self.checks or [Check(name=feature, verdict="passed") for feature in sorted(features)]

    def companies(self, like: str = "") -> list[Option]:
        return [option for option in self.choices("company") if like.casefold() in option.name.casefold()]

    def choices(
        self, kind: ChoiceKind, within: str = "", changed_since: datetime | None = None
    ) -> list[Option]:
        self._called("choices")
        found = [one for one in self.options if one.kind == kind and within in ("", one.within)]
        if changed_since is None or kind not in ABILITIES[self.kind].incremental:
            return [one for one in found if not one.data.get("inactive")]
        return [one for one in found if self._changed_at(one) >= changed_since]

    def each_choice(
        self, kind: ChoiceKind, within: str = "", changed_since: datetime | None = None
    ) -> list[Option]:
        return self.choices(kind, within, changed_since)

    def check_report_setup(self, wanted: WantedSetup) -> list[Check]:
        """One line: whether there is an option for the solution, or none at all."""
        self._called("check_report_setup")
        solutions = [one.name for one in self.options if one.kind == "solution"]
        verdict: Verdict = "failed" if solutions and wanted.solution not in solutions else "passed"
        return [Check(name="Solution", verdict=verdict, fix="" if verdict == "passed" else "Make it.")]

    def _changed_at(self, option: Option) -> datetime:
        return self.changed.get((option.kind, option.within, option.id), self.now)

    def lines(self, agreement_id: str, *, on: date | None = None) -> list[LineState]:
        self._called("lines")
        return list(self.agreements.get(agreement_id, []))

    def invoiced(self, agreement_id: str, first: date, last: date) -> list[InvoicedLine]:
        """Those of `invoices` that begin in these days."""
        self._called("invoiced")
        found = self.invoices.get(agreement_id, [])
        return [one for one in found if first.isoformat() <= one.starts_on <= last.isoformat()]

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

    def changed_tickets(self, ref_prefix: str, since: datetime) -> list[TicketState]:
        self._called("changed_tickets")
        return [
            ticket
            for ticket in self.tickets.values()
            if ticket.external_ref.startswith(ref_prefix) and (ticket.changed_at or self.now) >= since
        ]

    def tickets_by_id(self, ids: Sequence[str]) -> list[TicketState]:
        self._called("tickets_by_id")
        return [self.tickets[key] for key in ids if key in self.tickets]

    def plan_callback(self, wanted: WantedCallback) -> Plan:
        self._called("plan_callback")
        ours = [key for key, known in self.callbacks.items() if known == wanted.url]
        if wanted.state == "absent":
            return Plan(subject=wanted.name, items=tuple(_callback("delete", key, wanted) for key in ours))
        items = () if ours else (_callback("create", None, wanted),)
        found = {"id": ours[0], "is_ready": True} if ours else {}
        return Plan(subject=wanted.name, items=items, unchanged=() if items else ("callback",), found=found)

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
        return Plan.of(wanted.agreement_id, outcomes)

    def plan_report(self, wanted: WantedReport) -> Plan:
        """Entries by company and managed ID; a solution is known when there is an option of that name, or none."""
        self._called("plan_report")
        solutions = [one.name for one in self.options if one.kind == "solution"]
        if solutions and wanted.solution not in solutions:
            text = f"There is no solution “{wanted.solution}”."
            finding = Finding(key="report", code="solution_missing", text=text, advice="Make it.")
            return Plan(subject=f"report:{wanted.company_id}", findings=(finding,))
        shown = self.reports.get((wanted.company_id, wanted.managed_id), {})
        outcomes: list[PlanItem | Finding | str] = [
            _planned_entry(wanted, key, values, shown.get(key)) for key, values in _entries(wanted).items()
        ]
        outcomes += [_planned_device(wanted, device, self.devices) for device in wanted.devices]
        return Plan.of(f"report:{wanted.company_id}", outcomes)

    def plan_product(self, wanted: WantedProduct) -> Plan:
        self._called("plan_product")
        same = [one for one in self.options if one.kind == "product" and one.name == wanted.identifier]
        if same:
            found = {"id": same[0].id, "name": same[0].name}
            return Plan(subject=wanted.identifier, unchanged=(wanted.identifier,), found=found)
        body = {"name": wanted.identifier, "description": wanted.description}
        request = Request(method="POST", path="/products", body=body)
        return Plan(subject=wanted.identifier, items=(_create_product(wanted, request),))

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
            ("create", "product"): self._create_product,
            ("create", "management report entry"): self._write_entry,
            ("update", "management report entry"): self._write_entry,
            ("update", "device"): self._write_device,
            ("create", "callback"): self._create_callback,
            ("delete", "callback"): self._delete_callback,
        }[item.action, item.record]
        record_id, answer = act(item, item.request.body)
        return AppliedItem(key=item.key, action=item.action, record_id=record_id, answer=answer)

    def _create_callback(self, item: PlanItem, body: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        callback_id = self._next_id()
        self.callbacks[callback_id] = body["url"]
        return callback_id, {"id": callback_id}

    def _delete_callback(self, item: PlanItem, body: Any) -> tuple[str, dict[str, Any]]:
        del self.callbacks[item.record_id or ""]
        return item.record_id or "", {}

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
        return ticket_id, self.tickets[ticket_id].as_json()

    def _close_ticket(self, item: PlanItem, body: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        ticket_id = item.record_id or ""
        status = next((o for o in self.options if o.kind == "status" and o.id == body["status_id"]), None)
        if status and not status.data.get("closed", True):
            raise Misconfigured(
                f"Status {status.name} does not close tickets.",
                field="closing_status",
                advice="Choose another closing status.",
            )
        return ticket_id, self._change(ticket_id, is_closed=True, **body).as_json()

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

    def _create_product(self, item: PlanItem, body: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        option = self.add_option("product", self._next_id(), body["name"], description=body["description"])
        return option.id, {"identifier": option.name}

    def _write_entry(self, item: PlanItem, body: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        of_client = self.reports.setdefault((body["company_id"], body["managed_id"]), {})
        of_client[item.key] = {**of_client.get(item.key, {}), **item.after}
        return item.record_id or self._next_id(), dict(of_client[item.key])

    def _write_device(self, item: PlanItem, body: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        self.devices[body["company_id"], item.record_id or ""] |= item.after
        return item.record_id or "", dict(item.after)

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
        is_there = wanted.may_have_note and wanted.note in self.notes.get(wanted.known_id, [])
        notes = (_note(wanted, wanted.known_id, wanted.note),) if wanted.note and not is_there else ()
        return Plan(subject=wanted.external_ref, items=notes, unchanged=() if notes else ("ticket",))

    def _plan_leaving(self, wanted: WantedTicket, ticket: TicketState) -> Plan:
        """A person has worked on it: it is told, once."""
        is_there = wanted.may_have_note and wanted.parting_note in self.notes.get(ticket.id, [])
        items = () if is_there else (_note(wanted, ticket.id, wanted.parting_note),)
        finding = Finding(key="ticket", code="touched", text=f"Somebody has worked on #{ticket.number}.")
        return Plan(
            subject=wanted.external_ref,
            items=items,
            unchanged=() if items else ("ticket",),
            findings=(finding,),
            found=ticket.as_json(),
        )

    def _plan_close(self, wanted: WantedTicket) -> Plan:
        if wanted.known_id is None:
            return Plan(subject=wanted.external_ref, unchanged=("ticket",))
        ticket = self._ticket(wanted.known_id)
        if ticket.merged_into:
            note = _note(
                wanted, ticket.merged_into, wanted.note or f"The problem of #{ticket.number} is over."
            )
            finding = Finding(key="ticket", code="merged", text=f"#{ticket.number} was merged.")
            return Plan(
                subject=wanted.external_ref, items=(note,), findings=(finding,), found=ticket.as_json()
            )
        if ticket.is_closed:
            return Plan(subject=wanted.external_ref, unchanged=("ticket",), found=ticket.as_json())
        if wanted.only_untouched and ticket.updated_by != "portal":
            return self._plan_leaving(wanted, ticket)
        notes = (_note(wanted, ticket.id, wanted.note),) if wanted.note else ()
        return Plan(
            subject=wanted.external_ref,
            items=(_close(self._closing_status(wanted, ticket), ticket), *notes),
            found=ticket.as_json(),
        )


def _create(wanted: WantedTicket, kind: str) -> PlanItem:
    names = ("external_ref", "company_id", "board_id", "status_id", "priority_id")
    more = ("contact_id", "agreement_id", "site_id", "item_id", "category_id", "source_id")
    body = {name: getattr(wanted, name) for name in names}
    body |= {name: value for name in more if (value := getattr(wanted, name))}
    if wanted.due_at:
        body["due_at"] = wanted.due_at.isoformat()
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


def _callback(action: Literal["create", "delete"], key: str | None, wanted: WantedCallback) -> PlanItem:
    method: Literal["POST", "DELETE"] = "POST" if action == "create" else "DELETE"
    body = {"url": wanted.url} if action == "create" else None
    return PlanItem(
        key="callback",
        action=action,
        record="callback",
        record_id=key,
        before={},
        after=body or {},
        reason="It is wanted." if action == "create" else "It is not wanted.",
        request=Request(method=method, path="/callbacks", body=body),
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


def _entries(wanted: WantedReport) -> dict[str, dict[str, int]]:
    """Both entries of a managed ID, in the order that they must have."""
    return {
        "workstations_and_servers": {"servers": wanted.servers, "workstations": wanted.workstations},
        "backup_stats": {"successful_jobs": wanted.successful_jobs, "failed_jobs": wanted.failed_jobs},
    }


def _planned_entry(
    wanted: WantedReport, key: str, values: Mapping[str, int], shown: Mapping[str, int] | None
) -> PlanItem | str:
    after = {name: value for name, value in values.items() if shown is None or shown.get(name) != value}
    if not after:
        return key
    address = {"company_id": wanted.company_id, "managed_id": wanted.managed_id}
    return PlanItem(
        key=key,
        action="create" if shown is None else "update",
        record="management report entry",
        record_id=None if shown is None else f"{wanted.managed_id}:{key}",
        before={} if shown is None else {name: shown.get(name) for name in after},
        after=after,
        reason="The report differs.",
        request=Request(method="POST", path="/reports", body={**address, **after}),
    )


def _planned_device(
    wanted: WantedReport, device: WantedDevice, devices: Mapping[tuple[str, str], Mapping[str, Any]]
) -> PlanItem | Finding | str:
    serial = squeezed(device.serial_number)
    shown = devices.get((wanted.company_id, serial))
    if shown is None:
        return not_one(device, [], psa="the fake")
    values = {"successful_jobs": device.successful_jobs, "failed_jobs": device.failed_jobs}
    after = {name: value for name, value in values.items() if shown.get(name) != value}
    if not after:
        return key_of(device)
    return PlanItem(
        key=key_of(device),
        action="update",
        record="device",
        record_id=serial,
        before={name: shown.get(name) for name in after},
        after=after,
        reason="The statistics have changed.",
        request=Request(
            method="PATCH", path=f"/devices/{serial}", body={"company_id": wanted.company_id, **after}
        ),
    )


def _create_product(wanted: WantedProduct, request: Request) -> PlanItem:
    return PlanItem(
        key=wanted.identifier,
        action="create",
        record="product",
        record_id=None,
        before={},
        after={"identifier": wanted.identifier, "description": wanted.description},
        reason="The product is not there yet.",
        request=request,
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
