"""Why two neighbouring numbers of a month differ: named causes whose amounts sum exactly (asked by reconciliation).

A `Step` cannot be made of causes that do not sum to its difference, so no page, file or call can show one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.db.models import TextChoices

NOTHING = Decimal(0)


class Kind(TextChoices):
    """What makes numbers differ. The first are on our side, the last in the PSA."""

    UNTICKED = "unticked", "Unticked service"
    UNMAPPED = "unmapped", "Client not mapped"
    NO_PRODUCT = "no_product", "No cross-reference or product"
    NO_AGREEMENT = "no_agreement", "No agreement chosen"
    NO_PSA = "no_psa", "No PSA connection"
    ROUNDING = "rounding", "Rounding"
    INCLUDED = "included", "Included in the agreement"
    TIMING = "timing", "After the last push"
    STALE = "stale", "Stale usage"
    HELD = "held", "Held by a question"
    FAILED = "failed", "Push failed"
    NOT_APPROVED = "not_approved", "Not approved"
    OBSERVE = "observe", "Observe mode"
    BILLING_OFF = "billing_off", "Billing switched off"
    DISABLED = "disabled", "Client disabled"
    UNDONE = "undone", "Push undone"
    PRODUCT_GONE = "product_gone", "Product no longer in the PSA"
    PRODUCT_SWAPPED = "product_swapped", "Product swapped on the line"
    LINE_MISSING = "line_missing", "No line on the agreement"
    LINE_CANCELLED = "line_cancelled", "Line cancelled"
    AGREEMENT_OVER = "agreement_over", "Agreement cancelled or ended"
    SHARED_LINE = "shared_line", "Line shared with another"
    MANUAL = "manual", "Changed by hand in the PSA"
    PRORATION = "proration", "Prorated"
    NOT_INVOICED = "not_invoiced", "Not invoiced yet"
    AFTER_POSTING = "after_posting", "Changed after it was posted"
    UNEXPLAINED = "unexplained", "Unexplained"


NO_RISK = frozenset({Kind.ROUNDING, Kind.INCLUDED, Kind.PRORATION, Kind.NOT_INVOICED, Kind.AFTER_POSTING})
"""Less in the next number for these reasons is as agreed, or will come; less for any other is money at risk."""


class DoesNotSum(ValueError):
    """Causes that do not add up to the difference that they are said to explain."""


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One reason, and by how much it changes the number. Zero: nothing yet, but somebody should know.

    `link` is a route name with what it needs, `(name, id)`, or empty.
    """

    kind: Kind
    amount: Decimal
    text: str
    link: tuple[str, str] | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": str(self.kind),
            "amount": plain(self.amount),
            "text": self.text,
            "link": list(self.link) if self.link else None,
        }


@dataclass(frozen=True, kw_only=True)
class Step:
    """From one number to the next. None is a number that is not known or cannot be read; then nothing is compared.

    Raises DoesNotSum.
    """

    name: str
    before: Decimal | None
    after: Decimal | None
    causes: tuple[Cause, ...] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        told = sum((cause.amount for cause in self.causes), NOTHING)
        if told != self.difference:
            raise DoesNotSum(f"{self.name}: causes sum to {told}, the difference is {self.difference}")

    @property
    def difference(self) -> Decimal:
        if self.before is None or self.after is None:
            return NOTHING
        return self.after - self.before

    @property
    def is_compared(self) -> bool:
        return self.before is not None and self.after is not None


def step(name: str, before: Decimal | None, after: Decimal | None, causes: Sequence[Cause]) -> Step:
    """With what the causes leave open as *unexplained*. Causes of nothing are kept: they are worth knowing."""
    if before is None or after is None:
        return Step(name=name, before=before, after=after)
    rest = after - before - sum((cause.amount for cause in causes), NOTHING)
    if rest:
        text = "None of the stored facts explains this; look at the agreement's history in the PSA."
        causes = [*causes, Cause(kind=Kind.UNEXPLAINED, amount=rest, text=text)]
    return Step(name=name, before=before, after=after, causes=tuple(causes))


def plain(number: Decimal | None) -> str:
    """Without trailing zeros and exponent; empty for what is not known."""
    if number is None:
        return ""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
