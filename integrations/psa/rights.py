"""What a right at a PSA is needed for, and how its line in the doctor's report reads (asked by both adapters).

A PSA's own facts (which areas it has, how they are probed, where a person clicks) stand in its `permissions.py`; here
is what they share: from the features that are switched on to the levels that are needed, and from what was found to a
verdict. Nothing here makes a call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from integrations.psa.errors import PsaError, Throttled, Unreachable, Unsettled
from integrations.psa.port import Check, Feature

LONGEST = 20.0
"""Seconds after which the doctor stops asking; what is left then was not tried."""

FEATURE_NAMES: Mapping[Feature, str] = {
    "tickets": "Tickets",
    "closing": "Closing tickets",
    "billing": "Billing",
    "statistics": "Backup statistics",
    "choices": "Choices and company mapping",
    "inbound": "Changes told by the PSA",
    "hosted_tab": "Tab inside the PSA",
    "cross_references": "Cross-references kept in the PSA",
}
NOT_TRIED = "Not tried."
TOO_SLOW = "Not tried: the PSA answered too slowly for the calls before. Test again later."


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the role has to be good for. `observed` features plan but never write, so reading is enough for them."""

    features: frozenset[Feature]
    observed: frozenset[Feature] = frozenset()


def asked(features: Collection[Feature], observed: Collection[Feature] = ()) -> Asked:
    return Asked(features=frozenset(features), observed=frozenset(observed))


@dataclass(frozen=True, kw_only=True)
class Need:
    """Levels that one feature needs in an area. With `along` it counts only when one of those is on as well; with
    `only_to_write` it does not count for a feature that is only observed."""

    feature: Feature
    levels: tuple[str, ...]
    why: str
    along: tuple[Feature, ...] = ()
    only_to_write: bool = False


@dataclass(frozen=True)
class RoleGuide:
    """What the PSA's administrator does before and after setting the rights."""

    before: tuple[str, ...]
    after: tuple[str, ...]


class Area(Protocol):
    """A thing that rights are given for: a module function of a security role, an entity of a security level."""

    @property
    def name(self) -> str: ...

    @property
    def needs(self) -> Sequence[Need]: ...

    @property
    def reading(self) -> str:
        """The level that reading needs, in the PSA's word."""

    def granted_as(self, level: str) -> str:
        """How a work order writes the level: "Edit: All"."""

    def fix(self, levels: Sequence[str]) -> str:
        """The click path that leads to these levels."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The levels that the features asked for need in one area."""

    area: Area
    needs: tuple[Need, ...]

    @property
    def levels(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(level for need in self.needs for level in need.levels))

    @property
    def features(self) -> tuple[Feature, ...]:
        return tuple(dict.fromkeys(need.feature for need in self.needs))

    @property
    def why(self) -> str:
        return ", ".join(dict.fromkeys(need.why for need in self.needs))

    def broken_without(self, lacking: Collection[str]) -> tuple[Feature, ...]:
        return tuple(dict.fromkeys(need.feature for need in self.needs if set(need.levels) & set(lacking)))


def wanted(area: Area, what: Asked) -> Wanted:
    """The minimal levels of an area. An empty `needs` means that nothing asked for needs it."""
    needs = []
    for need in area.needs:
        is_on = need.feature in what.features and (not need.along or what.features & set(need.along))
        is_observed = need.feature in what.observed
        levels = tuple(level for level in need.levels if level == area.reading or not is_observed)
        if is_on and levels and not (is_observed and need.only_to_write):
            needs.append(replace(need, levels=levels))
    return Wanted(area=area, needs=tuple(needs))


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a probe found out about the wanted levels: each lacking or unsure one with a sentence.

    A level that is in neither was proven or told.
    """

    lacking: Mapping[str, str] = field(default_factory=dict)
    unsure: Mapping[str, str] = field(default_factory=dict)
    remark: str = ""


def line(want: Wanted, found: Found, excess: Sequence[str] = ()) -> Check:
    """The verdict on one area that is needed."""
    broken = want.broken_without(found.lacking)
    needed = f"Needed {want.why}."
    common = Check(
        name=want.area.name,
        verdict="passed",
        detail=" ".join(part for part in (needed, found.remark) if part),
        **_facts(want, excess),
    )
    if found.lacking:
        cause = " ".join(dict.fromkeys(found.lacking.values()))
        return replace(
            common,
            verdict="failed",
            breaks=broken,
            detail=f"{cause} {needed} Without it: {names_of(broken)}."[:900],
            fix=want.area.fix(want.levels),
        )
    if found.unsure:
        doubt = " ".join(dict.fromkeys(found.unsure.values()))
        return replace(
            common,
            verdict="probably",
            detail=f"{common.detail} {doubt}"[:900],
            fix=want.area.fix(want.levels),
        )
    return common


def untried(want: Wanted, detail: str = NOT_TRIED) -> Check:
    """A line that says what is needed and nothing about what is there."""
    return Check(
        name=want.area.name,
        verdict="skipped",
        detail=f"{detail} Needed {want.why}.",
        fix=want.area.fix(want.levels),
        **_facts(want, ()),
    )


def not_needed(area: Area, excess: Sequence[str] = ()) -> Check:
    """An area that we know and that nothing switched on needs."""
    for_what = tuple(dict.fromkeys(need.feature for need in area.needs))
    detail = f"Only for: {names_of(for_what)}. Nothing that is switched on needs it now."
    if excess:
        detail += f" Granted all the same: {', '.join(excess)}."
    return Check(
        name=area.name,
        verdict="not needed",
        kind="right",
        area=area.name,
        detail=detail,
        excess=tuple(excess),
    )


def _facts(want: Wanted, excess: Sequence[str]) -> dict[str, Any]:
    return {
        "kind": "right",
        "area": want.area.name,
        "needs": tuple(want.area.granted_as(level) for level in want.levels),
        "features": want.features,
        "why": want.why,
        "excess": tuple(excess),
    }


def names_of(features: Iterable[Feature]) -> str:
    return ", ".join(FEATURE_NAMES[feature] for feature in features)


class Round:
    """One visit of the doctor: lines are timed, and no question is begun after `LONGEST` seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends_at = clock() + LONGEST

    def step(self, name: str, climb: Callable[[], Check]) -> Check:
        """A rung of the ladder that everything else stands on."""
        return self._timed(Check(name=name, verdict="skipped", detail=TOO_SLOW), climb)

    def advice(self, name: str, ask: Callable[[], Check]) -> Check:
        """A line that stops nothing, whatever it says."""
        return self._timed(Check(name=name, verdict="skipped", kind="advice", detail=TOO_SLOW), ask)

    def right(self, want: Wanted, probe: Callable[[Wanted], Check]) -> Check:
        return self._timed(untried(want, TOO_SLOW), lambda: probe(want))

    def line(self, otherwise: Check, ask: Callable[[], Check]) -> Check:
        return self._timed(replace(otherwise, detail=TOO_SLOW), ask)

    def _timed(self, otherwise: Check, climb: Callable[[], Check]) -> Check:
        started = self._clock()
        if started >= self._ends_at:
            return otherwise
        try:
            check = climb()
        except PsaError as error:
            check = troubled(otherwise, error)
        return replace(check, name=otherwise.name, seconds=round(self._clock() - started, 3))


def troubled(otherwise: Check, error: PsaError) -> Check:
    """A trouble that is not about a right. One that passes by itself says nothing about a right."""
    is_passing = isinstance(error, Throttled) or (
        otherwise.kind != "step" and isinstance(error, (Unreachable, Unsettled))
    )
    return replace(
        otherwise,
        verdict="skipped" if is_passing else "failed",
        detail=str(error),
        fix=error.advice or otherwise.fix,
        breaks=() if is_passing else otherwise.features,
    )
