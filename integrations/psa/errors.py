"""What went wrong at a PSA, told by what must happen next (asked by lanes, pages and the event log).

Every error carries a sentence for people (`str(error)`), an `advice` that says where and how to fix it, and, when
a write was on its way, whether its outcome is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from integrations.psa.plan import AppliedItem


class PsaError(Exception):
    """Anything a PSA, or the way to it, refused.

    `outcome_unknown` is True when a write may have been carried out although no usable answer came back: the next
    step is then a search for our key, never a second create. `was_answered` is True when the PSA itself said that it
    failed, in its own words and to the end: what it has done of a write it had done by then. `applied` holds the plan
    items that were carried out before the error.
    """

    kind: ClassVar[str] = "bug"
    needs_a_person: ClassVar[bool] = False
    is_permanent: ClassVar[bool] = False

    def __init__(
        self,
        text: str,
        *,
        advice: str = "",
        outcome_unknown: bool = False,
        was_answered: bool = False,
        status: int | None = None,
    ) -> None:
        super().__init__(text)
        self.text = text
        self.advice = advice
        self.outcome_unknown = outcome_unknown
        self.was_answered = was_answered
        self.status = status
        self.applied: tuple[AppliedItem, ...] = ()


class Unreachable(PsaError):
    """Host down, time-out, 5xx, maintenance page, unusable answer: try again later."""

    kind = "unreachable"


class Throttled(PsaError):
    """The PSA asks us to slow down. `retry_after` is in seconds, already clamped to something sane.

    `importance` is set when we hold back ourselves: calls of that importance (`port.Importance`) have to wait, others
    may go on.
    """

    kind = "throttled"

    def __init__(
        self,
        text: str,
        *,
        retry_after: float,
        importance: str = "",
        advice: str = "",
        status: int | None = None,
    ) -> None:
        super().__init__(text, advice=advice, status=status)
        self.retry_after = retry_after
        self.importance = importance


class Unsettled(PsaError):
    """The PSA does not (or not yet) show what was planned against or written: plan again later, from a new read."""

    kind = "unsettled"


class SignInRefused(PsaError):
    """The credentials were not accepted: a person must correct them."""

    kind = "sign_in_refused"
    needs_a_person = True


class NotPermitted(PsaError):
    """Signed in, but the API member may not do this. `module` names the right ("Finance > Agreements")."""

    kind = "not_permitted"
    needs_a_person = True

    def __init__(self, text: str, *, module: str, advice: str = "", status: int | None = None) -> None:
        super().__init__(text, advice=advice, status=status)
        self.module = module


class Misconfigured(PsaError):
    """A setting of ours does not fit the PSA (a status of another board, a vanished product). `field` names it."""

    kind = "misconfigured"
    needs_a_person = True

    def __init__(self, text: str, *, field: str, advice: str = "", status: int | None = None) -> None:
        super().__init__(text, advice=advice, status=status)
        self.field = field


class Rejected(PsaError):
    """The PSA refused the data for good. `fields` maps its field names to its messages."""

    kind = "rejected"
    is_permanent = True

    def __init__(
        self,
        text: str,
        *,
        fields: Mapping[str, str] | None = None,
        advice: str = "",
        status: int | None = None,
    ) -> None:
        super().__init__(text, advice=advice, status=status)
        self.fields = dict(fields or {})


class NotFound(Rejected):
    """The record is not there (deleted, or never was)."""

    kind = "not_found"


class AlreadyThere(Rejected):
    """The PSA keeps one record of a kind, and has it."""


class AddressRefused(Misconfigured):
    """The site's name resolves to an address that this deployment does not allow."""

    kind = "address_refused"
