"""The permission doctor for Autotask: which rights of a security level we need, and whether the API user has them.

A ladder: find the zone, sign in, look at the calls that are left, then one verdict for each entity we use. Nothing is
ever written; queries are sent by POST. What an entity tells about itself (`canCreate`, `userAccessForCreate`) may be
the user's right or only the entity's nature, nobody says. So a "no" there is a failure; a "yes" for writing counts only
when the same answer holds a lower level for something that the entity can do by nature, since then it speaks of this
user, and is "probably" otherwise; and reading is proven by reading one row. See docs/psa/autotask.md, "Test It".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from integrations.psa.autotask import filters
from integrations.psa.autotask.devices import FIELDS_ADVICE, NAMES, PROTECTED, PROTECTED_ADVICE, own_values
from integrations.psa.autotask.metadata import Metadata
from integrations.psa.autotask.refusals import LEVELS as LEVELS_PAGE
from integrations.psa.autotask.refusals import module_for
from integrations.psa.autotask.rest import Rest, Row, text_of
from integrations.psa.errors import NotFound, NotPermitted, PsaError
from integrations.psa.port import Check
from integrations.psa.rights import (
    Asked,
    Found,
    Need,
    RoleGuide,
    Round,
    Wanted,
    line,
    not_needed,
    untried,
    wanted,
)

RIGHTS = ("Create", "Query", "Update", "Delete")
PROTECTED_DATA = "Protected data"
OTHERS = "Rights nobody needs"
GUIDE = RoleGuide(
    before=(
        "Open Admin > Organization Settings & Users > Resources/Users (HR) > Security Levels.",
        "Copy API User (system), which may do everything and cannot be edited, and name the copy PSA Portal.",
        "In the copy set what is named below, leave Can login to Web Services API ticked, and take the rest away.",
        "Save the security level.",
    ),
    after=(
        "Open Resources/Users (HR) > Resources/Users > (API user). It must be an API User (API-only).",
        "On its Security tab choose the copy as security level, and the vendor or a custom tracking identifier.",
        "If statistics go to protected fields: Protected Data Permissions, tick View and Edit Protected Data for it.",
        "Save, come back to PSA Portal and press Test It.",
    ),
)
NEARLY_USED = 0.5
_MOST_NAMED = 12
_QUERY = ("Query",)
# What people tick in a security level is called otherwise than what the API asks for.
_TICKED = {"Query": "View", "Create": "Add", "Update": "Edit", "Delete": "Delete"}
# Names from before the REST API, which entity information may still use (seen in webhooks).
_OLD_NAMES = {"company": "account", "configurationitem": "installedproduct"}


@dataclass(frozen=True, kw_only=True)
class EntityArea:
    """An entity of the API; the module of the security level that it belongs to stands in `refusals.py`."""

    entity: str
    needs: tuple[Need, ...]
    reading: str = "Query"

    @property
    def name(self) -> str:
        return f"{module_for(self.entity).name} ({self.entity})"

    def granted_as(self, level: str) -> str:
        return f"{_TICKED[level]} ({level}): All"

    def fix(self, levels: Sequence[str]) -> str:
        return module_for(self.entity).fix


AREAS: Sequence[EntityArea] = (
    EntityArea(
        entity="Companies",
        needs=(Need(feature="choices", levels=_QUERY, why="to map clients to companies"),),
    ),
    EntityArea(
        entity="Contacts",
        needs=(
            Need(feature="choices", levels=_QUERY, why="to offer contacts for tickets", along=("tickets",)),
        ),
    ),
    EntityArea(
        entity="Tickets",
        needs=(
            Need(feature="tickets", levels=("Query", "Create"), why="to open tickets and to find them again"),
            Need(feature="closing", levels=("Query", "Update"), why="to close them"),
            Need(feature="inbound", levels=_QUERY, why="to look at tickets that changed"),
        ),
    ),
    EntityArea(
        entity="TicketNotes",
        needs=(
            Need(feature="tickets", levels=("Create",), why="to add notes to tickets", only_to_write=True),
            Need(
                feature="closing",
                levels=("Query", "Create"),
                why="to see from its notes whether a ticket was merged, and to tell the other one",
            ),
        ),
    ),
    EntityArea(
        entity="Contracts",
        needs=(
            Need(feature="billing", levels=_QUERY, why="to see whether a contract can be billed on"),
            Need(feature="choices", levels=_QUERY, why="to offer contracts", along=("billing",)),
        ),
    ),
    EntityArea(
        entity="ContractServices",
        needs=(
            Need(
                feature="billing",
                levels=("Query", "Update"),
                why="to find the services of a contract and to write their invoice texts",
            ),
        ),
    ),
    EntityArea(
        entity="ContractServiceUnits",
        needs=(Need(feature="billing", levels=_QUERY, why="to read what is billed now"),),
    ),
    EntityArea(
        entity="ContractServiceAdjustments",
        needs=(
            Need(
                feature="billing",
                levels=("Create",),
                why="to change the units of services",
                only_to_write=True,
            ),
        ),
    ),
    EntityArea(
        entity="Services",
        needs=(
            Need(feature="billing", levels=_QUERY, why="to name the services of a contract"),
            Need(
                feature="choices",
                levels=_QUERY,
                why="to offer services for cross-references",
                along=("billing",),
            ),
        ),
    ),
    EntityArea(
        entity="ConfigurationItems",
        needs=(
            Need(
                feature="statistics",
                levels=("Query", "Update"),
                why="to write backup statistics to devices",
            ),
        ),
    ),
    EntityArea(
        entity="TicketWebhooks",
        needs=(
            Need(
                feature="inbound",
                levels=("Query", "Create", "Update"),
                why="to be told of changed tickets",
            ),
        ),
    ),
)


def minimal_role(what: Asked) -> list[Check]:
    """The security level that the features need, nothing tried."""
    wants = (wanted(area, what) for area in AREAS)
    return [untried(want) for want in wants if want.needs] + _protected_untried(what)


def _protected_untried(what: Asked) -> list[Check]:
    return [_PROTECTED] if "statistics" in what.features else []


_PROTECTED = Check(
    name=PROTECTED_DATA,
    verdict="skipped",
    kind="right",
    area="Resources/Users (HR) > Protected Data Permissions",
    needs=("View Protected Data", "Edit Protected Data"),
    features=("statistics",),
    why="to write statistics to fields of devices that are protected",
    detail="Not tried. Needed only when the fields that statistics go to are protected.",
    fix=PROTECTED_ADVICE,
)


class Told:
    """What entity information says of all entities at once; empty when it does not answer."""

    def __init__(self, answer: Row) -> None:
        rows = answer.get("entityDescriptions")
        infos = [row.get("info") for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        self.infos: list[Row] = [info for info in infos if isinstance(info, dict)]
        self._by_name = {_singular(text_of(info, "name")): info for info in self.infos}

    @property
    def is_of_the_user(self) -> bool:
        """Whether a level is lower than the entity's nature explains."""
        return any(
            info.get(f"can{right}") is True and _access(info, right) not in ("", "all")
            for info in self.infos
            for right in RIGHTS
        )

    def of(self, entity: str) -> Row | None:
        name = _singular(entity)
        return self._by_name.get(name) or self._by_name.get(_OLD_NAMES.get(name, ""))


class Doctor:
    """Four calls of the ladder, one for each entity that is queried, two more for protected data."""

    def __init__(self, rest: Rest, metadata: Metadata) -> None:
        self._rest = rest
        self._metadata = metadata

    def examine(self, what: Asked) -> list[Check]:
        """The ladder ends at the first rung that breaks; what stands above it was not tried."""
        visit = Round()
        done: list[Check] = []
        for name, climb in (("Find the zone", self._zone), ("Sign in", self._sign_in)):
            done.append(visit.step(name, climb))
            if done[-1].verdict != "passed":
                return done + minimal_role(what)
        done.append(visit.advice("Calls left", self._calls_left))
        told = self._told()
        for want in (wanted(area, what) for area in AREAS):
            excess = _excess(want, told)
            if want.needs:
                done.append(replace(visit.right(want, partial(self._right, told)), excess=excess))
            else:
                done.append(not_needed(want.area, excess))
        for check in _protected_untried(what):
            done.append(visit.line(check, partial(self._protected, check)))
        return done + _others(told)

    # --- The ladder

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
            return Check(name="", verdict="passed", kind="advice", detail=detail)
        return Check(
            name="",
            verdict="probably",
            kind="advice",
            detail=f"{detail} From half of it on Autotask answers slowly, at all of it not at all.",
            fix="Look which other integrations use this Autotask, and let them ask less often.",
        )

    def _told(self) -> Told:
        try:
            return Told(self._rest.ask("EntityInformation", "/EntityInformation"))
        except PsaError:
            return Told({})

    # --- One entity

    def _right(self, told: Told, want: Wanted) -> Check:
        area = want.area
        assert isinstance(area, EntityArea)
        info = told.of(area.entity)
        lacking = _denied(info, want.levels) if info else {}
        unsure = _untold(info, want.levels, is_of_the_user=told.is_of_the_user)
        if "Query" in want.levels and "Query" not in lacking:
            try:
                self._rest.first(area.entity)
            except (NotPermitted, NotFound) as error:
                lacking["Query"] = f"Autotask does not let the API user read this. {error}"
        return line(want, Found(lacking=lacking, unsure=unsure))

    def _protected(self, check: Check) -> Check:
        """Protected fields read as stars for a user who may not see them."""
        known = self._metadata.own_fields("ConfigurationItems")
        if not any(name.lower() in known for name in NAMES):
            text = "Autotask has none of the fields that backup statistics go to."
            return _broken(check, text, FIELDS_ADVICE)
        rows = self._rest.first("ConfigurationItems", filters.ANY, fields=(), most=20)
        hidden = {name.lower() for row in rows for name, text in own_values(row).items() if text == PROTECTED}
        ours = [name for name in NAMES if name.lower() in hidden]
        if ours:
            return _broken(
                check, f"{', '.join(ours)} of devices is hidden from the API user.", PROTECTED_ADVICE
            )
        text = (
            "Other fields of devices are hidden, none that is written."
            if hidden
            else "Nothing is hidden on devices."
        )
        return replace(check, verdict="passed", detail=text, fix="")


def _broken(check: Check, text: str, fix: str) -> Check:
    return replace(
        check,
        verdict="failed",
        detail=f"{text} Without it: Backup statistics.",
        fix=fix,
        breaks=check.features,
    )


def _denied(info: Row, levels: Iterable[str]) -> dict[str, str]:
    lacking = {}
    for level in levels:
        if info.get(f"can{level}") is False:
            lacking[level] = f"Nobody may {level.lower()} here: the module is switched off or read-only."
        elif _access(info, level) == "none":
            lacking[level] = f"{_TICKED[level]} ({level}) is None."
    return lacking


def _untold(info: Row | None, levels: Iterable[str], *, is_of_the_user: bool) -> dict[str, str]:
    """What is neither denied nor sure. Reading is proven by reading, but a restricted level hides rows."""
    unsure = {}
    for level in levels:
        access = _access(info, level) if info else ""
        if access not in ("", "all", "none"):
            unsure[level] = (
                f"{_TICKED[level]} ({level}) is {access.capitalize()}: records of other lines of business are missing,"
                " without an error."
            )
        elif level != "Query" and not (is_of_the_user and access == "all"):
            said = "says yes to everything, which may not be about this user" if info else "does not tell"
            unsure[level] = f"To {level.lower()}, Autotask {said}; the first real call proves it."
    return unsure


# --- What is granted and not needed ----------------------------------------------------------------------------------


def _excess(want: Wanted, told: Told) -> tuple[str, ...]:
    assert isinstance(want.area, EntityArea)
    info = told.of(want.area.entity) if told.is_of_the_user else None
    return tuple(
        f"{_TICKED[right]} ({right}): {_access(info, right).capitalize()}"
        for right in _held(info)
        if right not in want.levels
    )


def _held(info: Mapping[str, object] | None) -> list[str]:
    return [
        right
        for right in RIGHTS
        if info and info.get(f"can{right}") is True and _access(info, right) not in ("", "none")
    ]


def _others(told: Told) -> list[Check]:
    """Writing rights on entities that no feature of ours ever touches; reading them harms nobody."""
    fix = (
        f"{LEVELS_PAGE}: API User (system) cannot be edited; copy it, take away what is named here, and give the"
        " copy to the API user. Up to 50 copies are possible."
    )
    if not told.is_of_the_user:
        text = (
            "Autotask says yes to everything. Either it does not speak of this user, or he has full access, as the"
            " level API User (system) gives it: then a copy with the rights above is enough."
        )
        everything = Check(name=OTHERS, verdict="not needed", kind="excess", detail=text, fix=fix)
        return [everything] if told.infos else []
    ours = [id(told.of(area.entity)) for area in AREAS]
    spare = [
        f"{text_of(info, 'name')} ({', '.join(writes)})"
        for info in told.infos
        if (writes := [right for right in _held(info) if right != "Query"]) and id(info) not in ours
    ]
    if not spare:
        return []
    more = f" and {len(spare) - _MOST_NAMED} more" if len(spare) > _MOST_NAMED else ""
    text = f"The level also lets write, and nothing here uses: {'; '.join(spare[:_MOST_NAMED])}{more}."
    return [
        Check(name=OTHERS, verdict="not needed", kind="excess", detail=text, fix=fix, excess=tuple(spare))
    ]


def _access(info: Mapping[str, object] | None, right: str) -> str:
    value = info.get(f"userAccessFor{right}") if info else None
    return value.strip().lower() if isinstance(value, str) else ""


def _singular(name: str) -> str:
    name = name.lower()
    if name.endswith("ies"):
        return f"{name[:-3]}y"
    return name.removesuffix("s")
