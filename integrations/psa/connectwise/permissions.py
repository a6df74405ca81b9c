"""The permission doctor for ConnectWise: which rights of a security role we need, and whether the API member has them.

A ladder: reach the host, sign in, read the version, then one verdict for each area. Nothing is ever written. Rights are
told by `/system/mySecurity` where that answers (documented; it is not known to be open to every API member), and always
proven by reading one row as well, since Table Setup and Agreements have a customize list of their own that mySecurity
does not tell. What can neither be looked up nor read is "probably". Which module and function a right is called is as
vendors tell partners to set it; see docs/psa/connectwise.md, "Rights".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from integrations.psa.connectwise.refusals import role_advice
from integrations.psa.connectwise.rest import Rest, Row, number, text_of
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

LEVELS = ("Add", "Edit", "Delete", "Inquire")
LEVEL_ADVICE = (
    "In ConnectWise, System > Members > API Members > (member) > System: Level: Corporate (Level 1), and the Location"
    " and Business Unit that your boards and companies belong to."
)
MEMBER_LEVEL = "Level of the API member"
ROLE_OF_ITS_OWN = "Role of the API member"
OTHERS = "Rights nobody needs"
GUIDE = RoleGuide(
    before=(
        "Open System > Security Roles, press New Item, enter a Role ID such as PSA Portal, and save.",
        "Open the role's Security Modules. Set every right below to its level, and leave all others at None.",
        "Where an entry is named in brackets, allow just the named entries at the function's customize link.",
        "Save the role.",
    ),
    after=(
        "Open System > Members > API Members > (member). Under System choose this role as Role ID.",
        "As Level choose Corporate (Level 1): at a lower one, companies and tickets are missing without an error.",
        "Save the member, come back to PSA Portal and press Test It.",
    ),
)
_MOST_NAMED = 12


@dataclass(frozen=True, kw_only=True)
class RoleArea:
    """A function of a module in a security role. `customize` is the entry of its customize list that must be allowed.

    `probe` is a list that cannot be read without the right to inquire; `below` one under its first row.
    """

    module: str
    function: str
    needs: tuple[Need, ...]
    customize: str = ""
    probe: str = ""
    below: str = ""
    advice: str = ""
    reading: str = "Inquire"

    @property
    def name(self) -> str:
        return f"{self.module} > {self.function}" + (f" ({self.customize})" if self.customize else "")

    def granted_as(self, level: str) -> str:
        return f"{level}: All"

    def fix(self, levels: Sequence[str]) -> str:
        if self.advice:
            return self.advice
        allow = f"; open its customize link and allow {self.customize}" if self.customize else ""
        return role_advice(f"{self.module}: {self.function} ({', '.join(levels)}: All){allow}")


_INQUIRE = ("Inquire",)
AREAS: Sequence[RoleArea] = (
    RoleArea(
        module="Companies",
        function="Company Maintenance",
        probe="/company/companies",
        needs=(
            Need(feature="choices", levels=_INQUIRE, why="to map clients to companies"),
            Need(
                feature="statistics",
                levels=("Edit", "Inquire"),
                why="to write backup statistics to a company's management tab",
            ),
        ),
    ),
    RoleArea(
        module="Companies",
        function="Contacts",
        probe="/company/contacts",
        needs=(
            Need(feature="choices", levels=_INQUIRE, why="to offer contacts for tickets", along=("tickets",)),
        ),
    ),
    RoleArea(
        module="Service Desk",
        function="Service Tickets",
        probe="/service/tickets",
        needs=(
            Need(
                feature="tickets",
                levels=("Add", "Edit", "Inquire"),
                why="to open tickets, to find them again and to add notes",
            ),
            Need(feature="closing", levels=("Edit", "Inquire"), why="to close them"),
            Need(feature="inbound", levels=_INQUIRE, why="to look at tickets that changed"),
        ),
    ),
    RoleArea(
        module="Service Desk",
        function="Close Service Tickets",
        needs=(
            Need(
                feature="closing",
                levels=("Edit", "Inquire"),
                why="to set a status that closes when a problem is over",
                only_to_write=True,
            ),
        ),
    ),
    RoleArea(
        module="System",
        function="Table Setup",
        customize="Service / Service Board",
        probe="/service/boards",
        needs=(
            Need(
                feature="choices",
                levels=_INQUIRE,
                why="to offer boards, their statuses and types",
                along=("tickets",),
            ),
            Need(
                feature="closing",
                levels=_INQUIRE,
                why="to find the closing status of the board that a ticket was moved to",
            ),
        ),
    ),
    RoleArea(
        module="System",
        function="Table Setup",
        customize="Service / Priority",
        probe="/service/priorities",
        needs=(Need(feature="choices", levels=_INQUIRE, why="to offer priorities", along=("tickets",)),),
    ),
    RoleArea(
        module="System",
        function="Table Setup",
        customize="Service / Source",
        probe="/service/sources",
        needs=(Need(feature="choices", levels=_INQUIRE, why="to offer sources", along=("tickets",)),),
    ),
    RoleArea(
        module="Finance",
        function="Agreements",
        probe="/finance/agreements",
        needs=(
            Need(feature="choices", levels=_INQUIRE, why="to offer agreements", along=("billing",)),
            Need(feature="billing", levels=_INQUIRE, why="to read what is billed"),
        ),
    ),
    RoleArea(
        module="Finance",
        function="Agreements",
        customize="Additions",
        probe="/finance/agreements",
        below="additions",
        needs=(
            Need(
                feature="billing",
                levels=("Add", "Edit", "Inquire"),
                why="to set the quantities of additions, and to add those that are missing",
            ),
        ),
    ),
    RoleArea(
        module="Procurement",
        function="Product Catalog",
        probe="/procurement/catalog",
        needs=(
            Need(
                feature="choices",
                levels=_INQUIRE,
                why="to offer products for cross-references",
                along=("billing",),
            ),
        ),
    ),
    RoleArea(
        module="System",
        function="Table Setup",
        customize="General / Management IT",
        probe="/company/managementItSolutions",
        needs=(
            Need(feature="statistics", levels=_INQUIRE, why="to find the solution that statistics belong to"),
        ),
    ),
    RoleArea(
        module="System",
        function="Callbacks",
        probe="/system/callbacks",
        advice="No function of a security role is named for callbacks. Where they are refused, an API member with the"
        " Admin role can register them once; ConnectWise's support knows the function of your version.",
        needs=(
            Need(
                feature="inbound",
                levels=("Add", "Edit", "Inquire"),
                why="to be told of changed tickets",
            ),
        ),
    ),
    RoleArea(
        module="System",
        function="Table Setup",
        customize="General / Manage Hosted API",
        probe="/system/connectWiseHostedScreens",
        needs=(Need(feature="hosted_tab", levels=("Add", "Edit", "Inquire"), why="to register the tab"),),
    ),
    RoleArea(
        module="System",
        function="Table Setup",
        customize="Company / Managed Devices Integration",
        probe="/company/managedDevicesIntegrations",
        below="crossReferences",
        needs=(
            Need(
                feature="cross_references",
                levels=("Add", "Edit", "Inquire"),
                why="to keep ConnectWise's own cross-references in step",
            ),
        ),
    ),
    RoleArea(
        module="System",
        function="Table Setup",
        customize="Company / Configuration",
        probe="/company/configurations/types",
        needs=(Need(feature="cross_references", levels=_INQUIRE, why="to find configuration types by name"),),
    ),
    RoleArea(
        module="System",
        function="Table Setup",
        customize="Agreements / Agreement Type",
        probe="/finance/agreements/types",
        needs=(Need(feature="cross_references", levels=_INQUIRE, why="to find agreement types by name"),),
    ),
)


def minimal_role(what: Asked) -> list[Check]:
    """The role that the features need, nothing tried."""
    wants = (wanted(area, what) for area in AREAS)
    return [untried(want) for want in wants if want.needs]


@dataclass(frozen=True)
class Granted:
    """What mySecurity tells; empty when it does not answer, and then nothing is known."""

    rows: Sequence[Row] = ()
    by_name: Mapping[tuple[str, str], Row] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Granted:
        by_name: dict[tuple[str, str], Row] = {}
        for row in rows:
            for module in (*_names(row, "module"), ""):
                for function in _names(row, "moduleFunction"):
                    by_name.setdefault((module, function), row)
        return cls(rows, by_name)

    def row(self, area: RoleArea) -> Row | None:
        """By module and function; by function alone when the module is called otherwise."""
        function = _squeezed(area.function)
        return self.by_name.get((_squeezed(area.module), function)) or self.by_name.get(("", function))


class Doctor:
    """At most 21 calls, all GET: four of the ladder, one for each list that is probed, one for each list below one.

    One more for each list that this ConnectWise does not know, since a 404 may mean that it was upgraded.
    """

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def examine(self, what: Asked) -> list[Check]:
        """The ladder ends at the first rung that breaks; what stands above it was not tried."""
        wants = [wanted(area, what) for area in AREAS]
        visit = Round()
        done: list[Check] = []
        for name, climb in (("Reach the site", self._reach), ("Sign in", self._sign_in)):
            done.append(visit.step(name, climb))
            if done[-1].verdict != "passed":
                return done + minimal_role(what)
        granted = self._granted()
        done += self._member()
        excess = _excess(wants, granted)
        for want in wants:
            spare = excess.get(want.area.name, ())
            if want.needs:
                done.append(replace(visit.right(want, partial(self._right, granted)), excess=spare))
            else:
                done.append(not_needed(want.area, spare))
        return done + _others(granted)

    # --- The ladder

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

    def _granted(self) -> Granted:
        try:
            return Granted.of(self._rest.first("/system/mySecurity", pageSize=1000))
        except PsaError:
            return Granted()

    def _member(self) -> list[Check]:
        """Advice only: what a low level or the Admin role does is not documented, and both work somehow."""
        try:
            member = self._rest.get("/system/myMembers")
        except PsaError:
            text = "ConnectWise does not tell. At a lower level than Corporate, companies and tickets are missing."
            return [Check(name=MEMBER_LEVEL, verdict="skipped", kind="advice", detail=text, fix=LEVEL_ADVICE)]
        return [_level_of(member), *_role_of(member)]

    # --- One area

    def _right(self, granted: Granted, want: Wanted) -> Check:
        area = want.area
        assert isinstance(area, RoleArea)
        row = granted.row(area)
        lacking = _lacking(want.levels, row) if row else {}
        unsure = {} if row else _untold(want.levels)
        remark = ""
        if area.probe and "Inquire" not in lacking:
            seen = self._seen(area)
            lacking |= seen.lacking
            remark = seen.remark
            if not row:
                unsure = {**{name: text for name, text in unsure.items() if name != "Inquire"}, **seen.unsure}
        return line(want, Found(lacking=lacking, unsure=unsure, remark=remark))

    def _seen(self, area: RoleArea) -> Found:
        """One row is read. An empty list is no error, but may come from a level that is too low."""
        try:
            rows = self._rest.first(area.probe, pageSize=1, fields="id")
            if rows and area.below:
                self._rest.first(
                    f"{area.probe}/{number(text_of(rows[0], 'id'))}/{area.below}", pageSize=1, fields="id"
                )
        except NotPermitted:
            return Found(lacking={"Inquire": "ConnectWise does not let the API member read this."})
        except NotFound:
            text = "This ConnectWise does not know the list that would show it."
            return Found(unsure={"Inquire": text}, remark=text)
        if rows:
            return Found()
        text = "The list is empty: nothing there yet, or the member's level sees nothing."
        return Found(unsure={"Inquire": text}, remark=text)


def _lacking(levels: Iterable[str], row: Row) -> dict[str, str]:
    """ "My" is no use to us: what the portal looks after belongs to no API member."""
    return {
        level: f"{level} is set to {_level(row, level).capitalize() or 'None'}, not to All."
        for level in levels
        if _level(row, level) != "all"
    }


def _untold(levels: Iterable[str]) -> dict[str, str]:
    writes = " and ".join(level for level in levels if level != "Inquire")
    text = f"ConnectWise does not tell about {writes or 'it'}; the first real call will."
    return dict.fromkeys(levels, text)


# --- What is granted and not needed ----------------------------------------------------------------------------------


def _excess(wants: Sequence[Wanted], granted: Granted) -> dict[str, tuple[str, ...]]:
    """By area. Areas that differ by their customize entry share one row of the role: the first one tells for all."""
    needed: dict[tuple[str, str], set[str]] = {}
    first: dict[tuple[str, str], RoleArea] = {}
    for want in wants:
        assert isinstance(want.area, RoleArea)
        function = (want.area.module, want.area.function)
        needed.setdefault(function, set()).update(want.levels)
        first.setdefault(function, want.area)
    return {area.name: _spare(granted.row(area), needed[function]) for function, area in first.items()}


def _spare(row: Row | None, needed: Collection[str]) -> tuple[str, ...]:
    return tuple(f"{level}: {_level(row, level).capitalize()}" for level in _held(row) if level not in needed)


def _held(row: Row | None) -> list[str]:
    return [level for level in LEVELS if row and _level(row, level) not in ("", "none")]


def _others(granted: Granted) -> list[Check]:
    """Functions that no feature of ours ever uses. An Admin role has more than a hundred: then some stand for all."""
    ours = [id(granted.row(area)) for area in AREAS]
    spare = [
        f"{text_of(row, 'moduleName')} > {text_of(row, 'moduleFunctionName')} ({', '.join(_held(row))})"
        for row in granted.rows
        if _held(row) and id(row) not in ours
    ]
    if not spare:
        return []
    more = f" and {len(spare) - _MOST_NAMED} more" if len(spare) > _MOST_NAMED else ""
    text = f"The role also grants, and nothing here uses: {'; '.join(spare[:_MOST_NAMED])}{more}."
    fix = role_advice("set what is named here to None, unless something else signs in as this member")
    return [
        Check(name=OTHERS, verdict="not needed", kind="excess", detail=text, fix=fix, excess=tuple(spare))
    ]


def _level_of(member: Row) -> Check:
    level = member.get("structureLevel")
    name = text_of(level, "name") if isinstance(level, dict) else ""
    is_high = not name or "corporate" in name.lower() or re.search(r"\blevel 1\b", name.lower()) is not None
    if is_high:
        return Check(
            name=MEMBER_LEVEL, verdict="passed", kind="advice", detail=f"{name or 'Not restricted'}."
        )
    text = f"It is {name}. Companies, tickets and agreements of other levels are missing, without an error."
    return Check(name=MEMBER_LEVEL, verdict="probably", kind="advice", detail=text, fix=LEVEL_ADVICE)


def _role_of(member: Row) -> list[Check]:
    role = member.get("securityRole")
    name = text_of(role, "name") if isinstance(role, dict) else ""
    if name.strip().lower() != "admin" and member.get("adminFlag") is not True:
        return []
    return [
        Check(
            name=ROLE_OF_ITS_OWN,
            verdict="probably",
            kind="advice",
            detail="It has the Admin role: whoever gets hold of its key may do everything.",
            fix="In ConnectWise, System > Security Roles: make a role with the rights below only, and choose it under"
            " System > Members > API Members > (member) > System: Role ID.",
        )
    ]


def _names(row: Row, what: str) -> list[str]:
    return [
        _squeezed(text) for text in (text_of(row, f"{what}Name"), text_of(row, f"{what}Identifier")) if text
    ]


def _level(row: Row | None, name: str) -> str:
    return text_of(row, f"{name.lower()}Level").lower() if row else ""


def _squeezed(text: str) -> str:
    return re.sub(r"[^a-z]", "", text.lower())
