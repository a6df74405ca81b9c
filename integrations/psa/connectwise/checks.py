"""Test It: can this connection do what the partner switched on, and if not, which click in ConnectWise is missing.

A ladder: reach the host, sign in, read the version, then one verdict for each right. Nothing is ever written. Rights
come from `/system/mySecurity` where that answers (it is not known to be open to every API member), else from reading
one harmless row; a right to write that could not be looked up is "probably".
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial

from integrations.psa.connectwise.refusals import role_advice
from integrations.psa.connectwise.rest import Rest, Row, text_of
from integrations.psa.errors import NotPermitted, PsaError, Throttled
from integrations.psa.port import Check, Feature, Verdict


@dataclass(frozen=True, kw_only=True)
class Right:
    """A right of a security role, what we need it for, and a read that fails without it."""

    module: str
    function: str
    levels: tuple[str, ...]
    features: frozenset[Feature]
    why: str
    probe: str = ""
    customize: str = ""

    @property
    def name(self) -> str:
        return f"{self.module} > {self.function}" + (f" ({self.customize})" if self.customize else "")

    @property
    def fix(self) -> str:
        allow = f"; open its customize link and allow {self.customize}" if self.customize else ""
        return role_advice(f"{self.module}: {self.function} ({', '.join(self.levels)}: All){allow}")


def _features(*names: Feature) -> frozenset[Feature]:
    return frozenset(names)


_EVERY = _features("tickets", "closing", "billing", "statistics")

RIGHTS: Sequence[Right] = (
    Right(
        module="Companies",
        function="Company Maintenance",
        levels=("Inquire",),
        features=_EVERY,
        why="to map clients to companies",
        probe="/company/companies",
    ),
    Right(
        module="Companies",
        function="Company Maintenance",
        levels=("Edit", "Inquire"),
        features=_features("statistics"),
        why="to write backup statistics to the management tab of a company",
        probe="/company/managementItSolutions",
        customize="General / Management IT",
    ),
    Right(
        module="System",
        function="Table Setup",
        levels=("Inquire",),
        features=_features("tickets", "closing"),
        why="to offer boards, their statuses and types",
        probe="/service/boards",
        customize="Service / Service Board",
    ),
    Right(
        module="System",
        function="Table Setup",
        levels=("Inquire",),
        features=_features("tickets"),
        why="to offer priorities",
        probe="/service/priorities",
        customize="Service / Priority",
    ),
    Right(
        module="Service Desk",
        function="Service Tickets",
        levels=("Add", "Edit", "Inquire"),
        features=_features("tickets", "closing"),
        why="to open tickets, to find them again and to add notes",
        probe="/service/tickets",
    ),
    Right(
        module="Service Desk",
        function="Close Service Tickets",
        levels=("Add", "Edit", "Inquire"),
        features=_features("closing"),
        why="to close a ticket when its problem is over",
    ),
    Right(
        module="Finance",
        function="Agreements",
        levels=("Add", "Edit", "Inquire"),
        features=_features("billing"),
        why="to read agreements and to set the quantities of their additions",
        probe="/finance/agreements",
    ),
    Right(
        module="Procurement",
        function="Product Catalog",
        levels=("Inquire",),
        features=_features("billing"),
        why="to offer products for cross-references",
        probe="/procurement/catalog",
    ),
)


class Checks:
    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def run(self, features: Collection[Feature]) -> list[Check]:
        """The ladder ends at the first rung that breaks; what stands above it was not tried."""
        rights = [right for right in RIGHTS if right.features & set(features)]
        done: list[Check] = []
        for name, climb in (("Reach the site", self._reach), ("Sign in", self._sign_in)):
            done.append(_timed(name, climb))
            if done[-1].verdict != "passed":
                return done + [
                    Check(name=right.name, verdict="skipped", detail="Not tried.") for right in rights
                ]
        granted = self._granted()
        return done + [_timed(right.name, partial(self._right, right, granted)) for right in rights]

    def _reach(self) -> Check:
        codebase = self._rest.discover()
        return Check(name="", verdict="passed", detail=f"{self._rest.site} answers; codebase {codebase}.")

    def _sign_in(self) -> Check:
        """Any signed-in member may read `/system/info`; it also tells the version."""
        info = self._rest.get("/system/info")
        version, zone = text_of(info, "version"), text_of(info, "serverTimeZone")
        kind = "cloud" if info.get("isCloud") else "on-premise"
        return Check(
            name="", verdict="passed", detail=f"ConnectWise PSA {version}, {kind}, time zone {zone or '?'}."
        )

    def _granted(self) -> dict[str, Row]:
        """The member's own rights by function, or nothing when ConnectWise does not tell."""
        try:
            rows = self._rest.first("/system/mySecurity", pageSize=1000)
        except PsaError:
            return {}
        return {_squeezed(text): row for row in rows for text in _function_names(row) if text}

    def _right(self, right: Right, granted: dict[str, Row]) -> Check:
        row = granted.get(_squeezed(right.function))
        missing = [level for level in right.levels if row and _level(row, level) != "all"]
        if missing:
            return _failed(right, f"{' and '.join(missing)} is not set to All; it is needed {right.why}.")
        try:
            amount = self._probe(right)
        except NotPermitted:
            return _failed(
                right, f"ConnectWise does not let the API member read this; it is needed {right.why}."
            )
        if row or right.levels == ("Inquire",):
            return Check(name="", verdict="passed", detail=f"Needed {right.why}.{amount}")
        writes = " and ".join(level for level in right.levels if level != "Inquire")
        return Check(
            name="",
            verdict="probably",
            detail=f"Needed {right.why}.{amount} ConnectWise does not tell about {writes}; the first real call will.",
            fix=right.fix,
        )

    def _probe(self, right: Right) -> str:
        """One row is read; an empty list is no error, but may be a level that is too low."""
        if not right.probe:
            return ""
        rows = self._rest.first(right.probe, pageSize=1, fields="id")
        return "" if rows else " The list is empty: nothing there yet, or the member's level sees nothing."


def _failed(right: Right, detail: str) -> Check:
    return Check(name="", verdict="failed", detail=detail, fix=right.fix)


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


def _function_names(row: Row) -> tuple[str, str]:
    return text_of(row, "moduleFunctionName"), text_of(row, "moduleFunctionIdentifier")


def _level(row: Row, name: str) -> str:
    return text_of(row, f"{name.lower()}Level").lower()


def _squeezed(text: str) -> str:
    return re.sub(r"[^a-z]", "", text.lower())
