"""Test It: can this connection do what the partner switched on, and if not, which click in Autotask is missing.

A ladder: find the zone, sign in, look at the calls that are left, then one verdict for each entity we use. Nothing is
ever written. What an entity tells about itself (`canCreate`, `userAccessForCreate`) may be the user's right or only the
entity's nature, nobody says; so a "no" there is a failure, a "yes" for writing is a "probably", and reading is proven
by reading one row.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial

from integrations.psa.autotask import filters
from integrations.psa.autotask.devices import FIELDS_ADVICE, NAMES, PROTECTED, PROTECTED_ADVICE, own_values
from integrations.psa.autotask.metadata import Metadata
from integrations.psa.autotask.refusals import module_for
from integrations.psa.autotask.rest import Rest, Row, text_of
from integrations.psa.errors import NotFound, NotPermitted, PsaError, Throttled
from integrations.psa.port import Check, Feature, Verdict


@dataclass(frozen=True, kw_only=True)
class Right:
    """What we do with an entity, what we need it for, and whether it can be read at all."""

    entity: str
    needs: tuple[str, ...]
    features: frozenset[Feature]
    why: str

    @property
    def name(self) -> str:
        return f"{module_for(self.entity).name} ({self.entity})"

    @property
    def fix(self) -> str:
        return module_for(self.entity).fix


def _features(*names: Feature) -> frozenset[Feature]:
    return frozenset(names)


_EVERY = _features("tickets", "closing", "billing", "statistics")
_DESK = _features("tickets", "closing")
_BILLING = _features("billing")

RIGHTS: Sequence[Right] = (
    Right(entity="Companies", needs=("Query",), features=_EVERY, why="to map clients to companies"),
    Right(
        entity="Tickets",
        needs=("Query", "Create", "Update"),
        features=_DESK,
        why="to open tickets, to find them again and to close them",
    ),
    Right(entity="TicketNotes", needs=("Query", "Create"), features=_DESK, why="to add notes to tickets"),
    Right(entity="Contacts", needs=("Query",), features=_features("tickets"), why="to offer contacts"),
    Right(
        entity="Contracts", needs=("Query",), features=_BILLING, why="to find the contracts that are billed"
    ),
    Right(
        entity="ContractServices",
        needs=("Query", "Update"),
        features=_BILLING,
        why="to find the services of a contract and to write their invoice texts",
    ),
    Right(
        entity="ContractServiceUnits", needs=("Query",), features=_BILLING, why="to read what is billed now"
    ),
    Right(
        entity="ContractServiceAdjustments",
        needs=("Create",),
        features=_BILLING,
        why="to change the units of services",
    ),
    Right(
        entity="Services", needs=("Query",), features=_BILLING, why="to offer services for cross-references"
    ),
    Right(
        entity="ConfigurationItems",
        needs=("Query", "Update"),
        features=_features("statistics"),
        why="to write backup statistics to devices",
    ),
)
PROTECTED_DATA = "Protected data"
NEARLY_USED = 0.5
_NOT_TRIED = "Not tried."


class Checks:
    def __init__(self, rest: Rest, metadata: Metadata) -> None:
        self._rest = rest
        self._metadata = metadata

    def run(self, features: Collection[Feature]) -> list[Check]:
        """The ladder ends at the first rung that breaks; what stands above it was not tried."""
        rights = [right for right in RIGHTS if right.features & set(features)]
        extra = [PROTECTED_DATA] if "statistics" in features else []
        done: list[Check] = []
        for name, climb in (("Find the zone", self._zone), ("Sign in", self._sign_in)):
            done.append(_timed(name, climb))
            if done[-1].verdict != "passed":
                names = ["Calls left", *(right.name for right in rights), *extra]
                return done + [Check(name=name, verdict="skipped", detail=_NOT_TRIED) for name in names]
        done.append(_timed("Calls left", self._calls_left))
        done += [_timed(right.name, partial(self._right, right)) for right in rights]
        return done + [_timed(name, self._protected) for name in extra]

    def _zone(self) -> Check:
        zone = self._rest.discover()
        return Check(
            name="", verdict="passed", detail=f"Autotask answers; this API user lives at {zone.url}."
        )

    def _sign_in(self) -> Check:
        """The version may be read by every API user; it needs the three headers and no right."""
        version = self._rest.ask("Version", "/Version")
        numbers = ".".join(
            text_of(version, name) for name in ("majorVersion", "minorVersion") if text_of(version, name)
        )
        return Check(
            name="",
            verdict="passed",
            detail=f"Autotask {numbers or '(version not told)'}; API user accepted.",
        )

    def _calls_left(self) -> Check:
        threshold = self._rest.threshold()
        detail = (
            f"{threshold.used} of {threshold.most} calls were made in the last {threshold.minutes} minutes."
        )
        if threshold.share < NEARLY_USED:
            return Check(name="", verdict="passed", detail=detail)
        return Check(
            name="",
            verdict="probably",
            detail=f"{detail} From half of it on Autotask answers slowly, at all of it not at all.",
            fix="Look which other integrations use this Autotask, and let them ask less often.",
        )

    def _right(self, right: Right) -> Check:
        try:
            told = self._told(right)
            if "Query" in right.needs:
                self._rest.first(right.entity)
        except (NotPermitted, NotFound) as error:
            return _failed(
                right, f"Autotask does not let the API user in here; it is needed {right.why}. {error}"
            )
        missing = [need for need in right.needs if _is_denied(told, need)]
        if missing:
            return _failed(right, f"{' and '.join(missing)} is not allowed; it is needed {right.why}.")
        return self._granted(right, told)

    def _told(self, right: Right) -> Row:
        info = self._rest.ask(right.entity, f"/{right.entity}/entityInformation").get("info")
        return info if isinstance(info, dict) else {}

    def _granted(self, right: Right, told: Row) -> Check:
        writes = [need.lower() for need in right.needs if need != "Query"]
        if not writes:
            return Check(name="", verdict="passed", detail=f"Needed {right.why}.")
        said = "says yes" if told else "does not tell"
        return Check(
            name="",
            verdict="probably",
            detail=f"Needed {right.why}. To {' and '.join(writes)}, Autotask {said}; the first real call proves it.",
            fix=right.fix,
        )

    def _protected(self) -> Check:
        """Protected fields read as stars for a user who may not see them."""
        known = self._metadata.own_fields("ConfigurationItems")
        if not any(name.lower() in known for name in NAMES):
            text = "Autotask has none of the fields that backup statistics go to."
            return Check(name="", verdict="failed", detail=text, fix=FIELDS_ADVICE)
        rows = self._rest.first("ConfigurationItems", filters.ANY, fields=(), most=20)
        hidden = {name.lower() for row in rows for name, text in own_values(row).items() if text == PROTECTED}
        ours = [name for name in NAMES if name.lower() in hidden]
        if ours:
            text = f"{', '.join(ours)} of devices is hidden from the API user."
            return Check(name="", verdict="failed", detail=text, fix=PROTECTED_ADVICE)
        text = (
            "Other fields of devices are hidden, none that is written."
            if hidden
            else "Nothing is hidden on devices."
        )
        return Check(name="", verdict="passed", detail=text)


def _is_denied(told: Row, need: str) -> bool:
    return told.get(f"can{need}") is False or text_of(told, f"userAccessFor{need}").lower() == "none"


def _failed(right: Right, detail: str) -> Check:
    return Check(name="", verdict="failed", detail=detail[:600], fix=right.fix)


def _timed(name: str, climb: Callable[[], Check]) -> Check:
    started = time.monotonic()
    try:
        check = climb()
    except PsaError as error:
        check = Check(name="", verdict=_verdict(error), detail=str(error), fix=error.advice)
    return replace(check, name=name, seconds=round(time.monotonic() - started, 3))


def _verdict(error: PsaError) -> Verdict:
    """A trouble that passes says nothing about a right."""
    return "skipped" if isinstance(error, Throttled) else "failed"
