"""What came of one attempt, and what follows from it (asked by handlers, lanes and the dispatcher)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings

from integrations.models import Lane, Status
from integrations.psa.errors import PsaError, Throttled
from integrations.psa.plan import Plan
from integrations.psa.port import Exchange
from portal import clock


@dataclass(kw_only=True)
class Outcome:
    """The result of one attempt.

    `again_in` (seconds) goes with WAITING and UNKNOWN. `facts` belong to the handler that ran the attempt. `lane` is
    set when the delivery goes on at another connection.
    """

    status: Status
    text: str = ""
    reason: str = ""
    error: PsaError | None = None
    again_in: float | None = None
    lane: Lane | None = None
    plan: Plan | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    exchanges: list[Exchange] = field(default_factory=list)
    seconds: float = 0.0


def done(text: str, *, plan: Plan | None = None, **facts: Any) -> Outcome:
    return Outcome(status=Status.DONE, text=text, plan=plan, facts=facts)


def skipped(reason: str, text: str, *, plan: Plan | None = None, **facts: Any) -> Outcome:
    """Nothing had to be done, or was allowed to be done; `reason` is stable, `text` a sentence."""
    return Outcome(status=Status.SKIPPED, reason=reason, text=text, plan=plan, facts=facts)


def held(reason: str, text: str, *, plan: Plan | None = None, **facts: Any) -> Outcome:
    """A person must do something first."""
    return Outcome(status=Status.HELD, reason=reason, text=text, plan=plan, facts=facts)


NO_PSA = "No PSA connection is configured for this client. Enter PSA Credentials; this then goes out."


def without_psa() -> Outcome:
    """No connection is in effect for the client (any more)."""
    return held("no_psa", NO_PSA)


def elsewhere(lane: Lane, reason: str = "moved") -> Outcome:
    """Another connection is in effect by now, or has the ticket: the delivery goes on there."""
    return Outcome(status=Status.WAITING, reason=reason, again_in=0, lane=lane)


def unknown(error: PsaError, *, again_in: float, **facts: Any) -> Outcome:
    return Outcome(
        status=Status.UNKNOWN,
        reason="outcome_unknown",
        text=error.text,
        error=error,
        again_in=again_in,
        facts=facts,
    )


def of_error(error: PsaError, *, attempts: int, patience: int = 0) -> Outcome:
    """What an error that surely wrote nothing (or may be repeated) means for its delivery.

    `attempts` is how often the delivery has been tried, this time included; the first pause is for `patience` more of
    them than usual.
    """
    if isinstance(error, Throttled):
        return again(error, error.retry_after, "throttled")
    if error.kind in {"sign_in_refused", "not_permitted", "address_refused"}:
        return again(error, 0, error.kind)
    if error.is_permanent or error.needs_a_person or error.kind == "bug":
        return Outcome(status=Status.FAILED, reason=error.kind, text=error.text, error=error)
    pause = max(attempts - patience, 1)
    if pause > len(settings.RETRY_DELAYS):
        return Outcome(status=Status.FAILED, reason="gave_up", text=error.text, error=error)
    return again(error, settings.RETRY_DELAYS[pause - 1], error.kind)


def again(error: PsaError, delay: float, reason: str) -> Outcome:
    return Outcome(status=Status.WAITING, reason=reason, text=error.text, error=error, again_in=delay)


def due_after(delay: float) -> Any:
    return clock.now() + (clock.spread(delay) if delay else timedelta())
