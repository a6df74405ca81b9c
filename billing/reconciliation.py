"""What was measured, what should be billed of it, and where the rest went, for one client, service and month.

Asked by `months`. Pure: stored facts in, five numbers and their causes out. All numbers are units of the service. From
*billable* on they are units to be paid: what an agreement line includes is taken off, as the PSA does itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from billing.causes import NO_RISK, NOTHING, Cause, Kind, Step, plain, step
from integrations.psa.port import InvoicedLine, LineState

NAMES = ("measured", "billable", "pushed", "in_agreement", "invoiced")
CENTS = Decimal("0.01")
PARTS = Decimal("0.0001")
PSA_ROUNDS = Decimal("0.01")
"""ConnectWise keeps two decimals of a quantity; what differs by less was changed by nobody."""
OVER = {"Cancelled", "Expired", "Inactive"}


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why something was not billed or not pushed, in the words of a stored fact."""

    kind: Kind
    text: str
    link: tuple[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Push:
    """A quantity that a run of ours wrote, or found to be there. `included` is what the line included then."""

    quantity: Decimal
    at: datetime
    line_id: str
    agreement_id: str
    included: Decimal | None = None
    effective_on: str = ""
    is_undo: bool = False
    link: tuple[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What the PSA said of the agreement. `trouble` says why it could not be read; `invoices_trouble` the same of what
    was invoiced. `is_past`: the lines are of the month's last day, whenever they were read."""

    at: datetime | None = None
    lines: tuple[LineState, ...] = ()
    invoiced: tuple[InvoicedLine, ...] = ()
    trouble: str = ""
    invoices_trouble: str = ""
    lines_are_told: bool = True
    is_past: bool = False


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that is stored about one client, service and month.

    `measured` None: nothing of the month was measured. `rounded` is what the service's rounding makes of it,
    `known_then` what was known of it when the last push was made. `not_billable` is why nothing of it may be billed,
    `not_pushed` why the last push did not go through. `later` is our last push after the month's end, `doubted`
    one after the last that went through, whose answer was lost. `others` are
    pushes of other services and clients to the same line. `reading` None: never read.
    """

    unit: str
    first: date
    last: date
    measured: Decimal | None
    rounded: Decimal = NOTHING
    known_then: Decimal | None = None
    not_billable: Reason | None = None
    not_pushed: Reason | None = None
    stale: str = ""
    pushed: Push | None = None
    later: Push | None = None
    doubted: Push | None = None
    others: tuple[Push, ...] = ()
    reading: Reading | None = None
    product_id: str = ""
    product_name: str = ""
    serial_number: str = ""
    line_id: str = ""
    agreement_over: str = ""
    catalogue_price: Decimal | None = None
    currency: str = ""


@dataclass(frozen=True, kw_only=True)
class Reconciliation:
    """Five numbers and the four steps between them. Raises DoesNotSum when a step is not explained exactly."""

    steps: tuple[Step, Step, Step, Step]
    unit_price: Decimal | None
    currency: str
    line_id: str = ""
    included: Decimal = NOTHING
    written: Decimal | None = None
    seen_at: datetime | None = None
    unread: str = ""
    not_invoiced: str = ""
    invoices: tuple[dict[str, Any], ...] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        for one, following in zip(self.steps, self.steps[1:], strict=False):
            if one.after != following.before:
                raise ValueError(
                    f"{one.name} ends at {one.after}, {following.name} begins at {following.before}"
                )

    @property
    def numbers(self) -> dict[str, Decimal | None]:
        values = [self.steps[0].before, *(one.after for one in self.steps)]
        return dict(zip(NAMES, values, strict=True))

    @property
    def causes(self) -> list[Cause]:
        return [cause for one in self.steps for cause in one.causes]

    @property
    def differs(self) -> bool:
        return any(one.difference for one in self.steps)

    @property
    def units_at_risk(self) -> Decimal:
        """What fell away before it was paid, for reasons that nobody agreed on; more included since the push is one."""
        lost = [
            cause.amount
            for one in self.steps
            for cause in one.causes
            if cause.kind not in NO_RISK or (cause.kind == Kind.INCLUDED and one.name == "in_agreement")
        ]
        return max(-sum((amount for amount in lost if amount < 0), NOTHING), NOTHING)

    @property
    def at_risk(self) -> Decimal | None:
        """In the agreement's currency, to the cent; None where the price is not known."""
        units = self.units_at_risk
        if not units:
            return NOTHING
        return None if self.unit_price is None else (units * self.unit_price).quantize(CENTS)


def reconcile(facts: Facts) -> Reconciliation:
    """The five numbers, and what makes each differ from the one before."""
    line = line_of(facts)
    included = included_before(facts, line)
    measured = facts.measured if facts.measured is not None else NOTHING
    billable, first = to_billable(facts, measured, included)
    pushed = owed(facts.pushed.quantity, included) if facts.pushed else NOTHING
    second = step("pushed", billable, pushed, not_pushed(facts, billable, pushed, included))
    in_agreement, causes = to_agreement(facts, line, pushed)
    third = step("in_agreement", pushed, in_agreement, causes)
    invoiced, causes, trouble = to_invoiced(facts, line, in_agreement)
    fourth = step("invoiced", in_agreement, invoiced, causes)
    reading = facts.reading
    return Reconciliation(
        steps=(step("billable", measured, billable, first), second, third, fourth),
        unit_price=price_of(line, facts),
        currency=facts.currency or currency_of(reading),
        line_id=line.id if line else "",
        included=included,
        written=facts.pushed.quantity if facts.pushed else None,
        seen_at=seen_at(facts),
        unread="" if in_agreement is not None else unread(reading),
        not_invoiced=trouble,
        invoices=invoices_of(reading, line),
    )


def owed(quantity: Decimal, included: Decimal) -> Decimal:
    """What is paid of a quantity: what is above the included units."""
    return max(quantity - included, NOTHING)


# --- Measured to billable --------------------------------------------------------------------------------------------


def to_billable(facts: Facts, measured: Decimal, included: Decimal) -> tuple[Decimal, list[Cause]]:
    if facts.not_billable is not None:
        no = facts.not_billable
        return NOTHING, [Cause(kind=no.kind, amount=NOTHING - measured, text=no.text, link=no.link)]
    if facts.measured is None:
        return NOTHING, []
    causes = []
    if facts.rounded != measured:
        text = f"{plain(measured)} {facts.unit} are billed as {plain(facts.rounded)}."
        causes.append(Cause(kind=Kind.ROUNDING, amount=facts.rounded - measured, text=text))
    billable = owed(facts.rounded, included)
    if billable != facts.rounded:
        text = f"The agreement line includes {plain(included)}; what is above is billed."
        causes.append(Cause(kind=Kind.INCLUDED, amount=billable - facts.rounded, text=text))
    return billable, causes


def included_before(facts: Facts, line: LineState | None) -> Decimal:
    """What the line included as far as we knew: at the last push, else as it was read."""
    if facts.pushed is not None and facts.pushed.included is not None:
        return facts.pushed.included
    return decimal_of(line.less_included) if line is not None else NOTHING


# --- Billable to pushed ----------------------------------------------------------------------------------------------


def not_pushed(facts: Facts, billable: Decimal, pushed: Decimal, included: Decimal) -> list[Cause]:
    missing = pushed - billable
    is_told = facts.not_pushed is not None and facts.not_pushed.kind == Kind.STALE
    causes = (
        [Cause(kind=Kind.STALE, amount=NOTHING, text=facts.stale)]
        if facts.stale and not (missing and is_told)
        else []
    )
    if facts.measured is None and facts.not_billable is None:
        text = facts.stale or "Nothing was measured in this month; the line keeps what was pushed before."
        return [Cause(kind=Kind.STALE, amount=missing, text=text)]
    if not missing:
        return causes
    if facts.not_billable is not None:
        text = f"The line keeps what was pushed before. {facts.not_billable.text}"
        return [*causes, Cause(kind=facts.not_billable.kind, amount=missing, text=text)]
    if facts.not_pushed is not None:
        no = facts.not_pushed
        return [*causes, Cause(kind=no.kind, amount=missing, text=no.text, link=no.link)]
    return [*causes, *since_the_push(facts, billable, pushed, included)]


def since_the_push(facts: Facts, billable: Decimal, pushed: Decimal, included: Decimal) -> list[Cause]:
    """Nothing stopped a push: usage became known after the last, or the last took one back."""
    if facts.pushed is None:
        text = "No push of this service was made in or before this month."
        return [Cause(kind=Kind.TIMING, amount=pushed - billable, text=text)]
    when, link = f"{facts.pushed.at:%Y-%m-%d %H:%M} UTC", facts.pushed.link
    causes = []
    then = pushed if facts.known_then is None else owed(facts.known_then, included)
    if then != billable:
        text = f"Usage that became known, or is of days, after the last push of the month ({when})."
        causes.append(Cause(kind=Kind.TIMING, amount=then - billable, text=text, link=link))
    if pushed != then and abs(pushed - then) < PSA_ROUNDS:
        text = f"The PSA keeps two decimals: {plain(facts.pushed.quantity)}."
        causes.append(Cause(kind=Kind.ROUNDING, amount=pushed - then, text=text, link=link))
    elif pushed != then and facts.pushed.is_undo:
        text = f"The last push was undone ({when}); the value before it was written back."
        causes.append(Cause(kind=Kind.UNDONE, amount=pushed - then, text=text, link=link))
    return causes


# --- Pushed to agreement ---------------------------------------------------------------------------------------------


def line_of(facts: Facts) -> LineState | None:
    """The line that the service is billed on: the one we wrote to, or was chosen, else by product as pushes find it."""
    if facts.reading is None:
        return None
    wanted = (facts.pushed.line_id if facts.pushed else "") or facts.line_id
    if wanted:
        return next((line for line in facts.reading.lines if line.id == wanted), None)
    same = [line for line in facts.reading.lines if facts.product_id and line.product_id == facts.product_id]
    exact = [line for line in same if facts.serial_number and line.serial_number == facts.serial_number]
    found = exact or same
    current = [line for line in found if not line.cancelled_on]
    found = current or found
    return found[0] if len(found) == 1 else None


def to_agreement(facts: Facts, line: LineState | None, pushed: Decimal) -> tuple[Decimal | None, list[Cause]]:
    """As it was read last, or as our own push has left it since. None when neither is known."""
    newest = later_of(facts) or facts.pushed
    reading = facts.reading
    if reading is None or reading.at is None or (newest is not None and newest.at > reading.at):
        return (None, []) if newest is None else as_we_left_it(facts, newest, pushed, line)
    lost = why_not_billed(facts, line)
    if lost is not None:
        return NOTHING, [Cause(kind=lost.kind, amount=NOTHING - pushed, text=lost.text)]
    if line is None:
        return NOTHING, []
    return by_parts(facts, line, pushed)


def as_we_left_it(
    facts: Facts, newest: Push, pushed: Decimal, line: LineState | None
) -> tuple[Decimal, list[Cause]]:
    """The PSA confirmed what we wrote, and was not read since."""
    if facts.agreement_over:
        return NOTHING, [Cause(kind=Kind.AGREEMENT_OVER, amount=NOTHING - pushed, text=facts.agreement_over)]
    now = owed(newest.quantity, included_before(facts, line))
    if now == pushed:
        return now, []
    text = f"Pushed after the month's end, on {newest.at:%Y-%m-%d %H:%M} UTC."
    return now, [Cause(kind=Kind.TIMING, amount=now - pushed, text=text, link=newest.link)]


def later_of(facts: Facts) -> Push | None:
    """Our push of after the month's end, where it counts for what was read: not for a reading of the last day itself,
    unless the push reaches back."""
    later = facts.later
    if later is None or facts.reading is None or not facts.reading.is_past:
        return later
    return later if later.effective_on and later.effective_on <= facts.last.isoformat() else None


def seen_at(facts: Facts) -> datetime | None:
    """Since when the number of the agreement is known."""
    newest = later_of(facts) or facts.pushed
    known = [at for at in (facts.reading.at if facts.reading else None, newest.at if newest else None) if at]
    return max(known, default=None)


def why_not_billed(facts: Facts, line: LineState | None) -> Reason | None:
    """Why a line that we pushed to bills nothing of this service; None when it does."""
    status = line.agreement_status if line is not None else ""
    if facts.agreement_over or status in OVER:
        text = facts.agreement_over or f"The agreement is {status.lower()}: nothing on it is billed."
        return Reason(kind=Kind.AGREEMENT_OVER, text=text)
    if line is None:
        if facts.pushed is None:
            return None
        text = f"The agreement has no line {facts.pushed.line_id or 'for it'} any more: it was removed in the PSA."
        return Reason(kind=Kind.LINE_MISSING, text=text)
    if line.cancelled_on and line.cancelled_on <= read_on(facts).isoformat():
        text = f"The line was cancelled on {line.cancelled_on}{by_whom(line)}."
        return Reason(kind=Kind.LINE_CANCELLED, text=text)
    if facts.product_id and line.product_id != facts.product_id:
        other = line.product_name or line.product_id
        text = f"The line's product is {other} in place of {facts.product_name or facts.product_id}{by_whom(line)}."
        return Reason(kind=Kind.PRODUCT_SWAPPED, text=text)
    return None


def read_on(facts: Facts) -> date:
    """The day that the reading is of: the month's last, or today while it runs."""
    at = facts.reading.at if facts.reading is not None else None
    return min(facts.last, at.date()) if at is not None else facts.last


def by_parts(facts: Facts, line: LineState, pushed: Decimal) -> tuple[Decimal, list[Cause]]:
    """Our own later push first, then another service on the line, then hands; last what the line includes now."""
    now, included_now = decimal_of(line.quantity), decimal_of(line.less_included)
    included = included_before(facts, line)
    causes: list[Cause] = []
    at = pushed

    def moved_to(quantity: Decimal, kind: Kind, text: str, link: tuple[str, str] | None = None) -> None:
        nonlocal at
        causes.append(Cause(kind=kind, amount=owed(quantity, included) - at, text=text, link=link))
        at = owed(quantity, included)

    written = facts.pushed.quantity if facts.pushed else NOTHING
    later = later_of(facts)
    if later is not None and later.quantity != written:
        written = later.quantity
        text = f"Pushed after the month's end, on {later.at:%Y-%m-%d %H:%M} UTC."
        moved_to(written, Kind.TIMING, text, later.link)
    doubted = facts.doubted
    if doubted is not None and now != written and abs(now - doubted.quantity) < PSA_ROUNDS:
        text = (
            f"We sent {plain(doubted.quantity)} and got no answer; the PSA has carried it out all the same."
        )
        written = now
        moved_to(now, Kind.FAILED, text, doubted.link)
    if facts.pushed is not None and facts.pushed.effective_on > facts.last.isoformat() and now != written:
        text = f"What was pushed takes effect on {facts.pushed.effective_on}: the month was posted already."
        written = now
        moved_to(now, Kind.TIMING, text, facts.pushed.link)
    other = shared_with(facts, line)
    if other is not None and abs(now - written) >= PSA_ROUNDS and abs(now - other.quantity) < PSA_ROUNDS:
        text = f"Another service or client is pushed to the same line {line.id}; it wrote {plain(other.quantity)} last."
        written = now
        moved_to(now, Kind.SHARED_LINE, text, other.link)
    if now != written:
        if abs(now - written) < PSA_ROUNDS and facts.pushed is not None:
            moved_to(now, Kind.ROUNDING, f"The PSA keeps two decimals: {plain(now)}.")
        else:
            moved_to(now, Kind.MANUAL, by_hand(facts, line, written, now))
    if included_now != included:
        text = f"The line included {plain(included)}, and includes {plain(included_now)} now{by_whom(line)}."
        at_last = owed(now, included_now)
        causes.append(Cause(kind=Kind.INCLUDED, amount=at_last - at, text=text))
        at = at_last
    return at, [cause for cause in causes if cause.amount or cause.kind == Kind.MANUAL]


def shared_with(facts: Facts, line: LineState) -> Push | None:
    """The last push of somebody else's to this line."""
    found = [push for push in facts.others if push.line_id == line.id]
    return max(found, key=lambda push: push.at, default=None)


def by_hand(facts: Facts, line: LineState, written: Decimal, now: Decimal) -> str:
    if facts.pushed is None:
        return f"The line says {plain(now)}; we never pushed to it{by_whom(line)}."
    return f"We wrote {plain(written)}; the line says {plain(now)}{by_whom(line)}."


def by_whom(line: LineState) -> str:
    """The last change of the line, where the PSA tells it."""
    if not (line.changed_by or line.changed_at):
        return " (the PSA does not tell who)"
    when = line.changed_at.replace("T", " ")[:16]
    return f" (changed last by {line.changed_by or 'somebody'}{f', {when} UTC' if when else ''})"


def unread(reading: Reading | None) -> str:
    if reading is None:
        return "Not read yet; press “Read agreements again”."
    return reading.trouble or "Not read yet; press “Read agreements again”."


# --- Agreement to invoice --------------------------------------------------------------------------------------------


def to_invoiced(
    facts: Facts, line: LineState | None, in_agreement: Decimal | None
) -> tuple[Decimal | None, list[Cause], str]:
    """None, with why, where the PSA does not tell the lines of its invoices."""
    reading = facts.reading
    if reading is None or reading.at is None or in_agreement is None:
        return None, [], unread(reading)
    if reading.invoices_trouble:
        return None, [], reading.invoices_trouble
    if not reading.lines_are_told:
        return None, [], invoices_only(reading)
    if not reading.invoiced:
        return None, [], "Nothing of this month is approved and posted in the PSA yet."
    if line is None:
        return (NOTHING, [], "") if not in_agreement else (None, [], "The line is not known.")
    mine = [one for one in reading.invoiced if one.line_id == line.id]
    posted = owed(weighted(mine), decimal_of(line.less_included))
    billed = [one for one in mine if one.invoice_id]
    invoiced = owed(weighted(billed, mine), decimal_of(line.less_included)) if billed else NOTHING
    causes = []
    if not mine and in_agreement:
        text = "Other lines of the agreement are approved and posted for this month; this one is not."
        return NOTHING, [Cause(kind=Kind.NOT_INVOICED, amount=NOTHING - in_agreement, text=text)], ""
    if mine and posted != in_agreement:
        causes.append(before_posting(mine, posted, in_agreement))
    if invoiced != posted:
        text = "Approved and posted, but not on an invoice yet."
        causes.append(Cause(kind=Kind.NOT_INVOICED, amount=invoiced - posted, text=text))
    return invoiced, causes, ""


def before_posting(mine: Sequence[InvoicedLine], posted: Decimal, in_agreement: Decimal) -> Cause:
    different = {one.quantity for one in mine}
    if len(different) > 1:
        text = f"The units changed within the period; {len(mine)} parts were billed by their days."
        return Cause(kind=Kind.PRORATION, amount=posted - in_agreement, text=text)
    text = f"{plain(posted)} were posted; the line has said {plain(in_agreement)} only since then."
    return Cause(kind=Kind.AFTER_POSTING, amount=posted - in_agreement, text=text)


def weighted(rows: Sequence[InvoicedLine], whole: Sequence[InvoicedLine] | None = None) -> Decimal:
    """Units by days: 10 for half the month and 12 for the other half are 11. To four decimals."""
    days = [(days_of(row), decimal_of(row.quantity or "0")) for row in rows]
    total = sum(days_of(row) for row in (whole if whole is not None else rows))
    if not total:
        return NOTHING
    return (sum((count * units for count, units in days), NOTHING) / total).quantize(PARTS)


def days_of(row: InvoicedLine) -> int:
    try:
        first, last = date.fromisoformat(row.starts_on), date.fromisoformat(row.ends_on or row.starts_on)
    except ValueError:
        return 1
    return max((last - first).days + 1, 1)


def invoices_only(reading: Reading) -> str:
    why = "Not readable: the PSA tells invoices of an agreement, but not their lines."
    if not reading.invoiced:
        return f"{why} It has none for this month yet."
    told = ", ".join(
        f"no. {one.number} of {one.starts_on}{f', {one.amount} {one.currency}'.rstrip() if one.amount else ''}"
        for one in reading.invoiced
    )
    return f"{why} For this month: {told}."


def invoices_of(reading: Reading | None, line: LineState | None) -> tuple[dict[str, Any], ...]:
    if reading is None:
        return ()
    rows = [
        one for one in reading.invoiced if not one.line_id or (line is not None and one.line_id == line.id)
    ]
    return tuple(
        {"number": one.number, "on": one.starts_on, "amount": one.amount, "currency": one.currency}
        for one in rows
        if one.invoice_id
    )


# --- Money -----------------------------------------------------------------------------------------------------------


def price_of(line: LineState | None, facts: Facts) -> Decimal | None:
    """Of one unit: the line's own, else the product's in the catalogue."""
    if line is not None and line.unit_price is not None:
        return decimal_of(line.unit_price)
    return facts.catalogue_price


def currency_of(reading: Reading | None) -> str:
    found = {one.currency for one in reading.invoiced if one.currency} if reading is not None else set()
    return found.pop() if len(found) == 1 else ""


def decimal_of(text: str) -> Decimal:
    return Decimal(text or "0")
