"""May these credentials do what the partner switched on, and what is to be clicked at the PSA if not?

Asked by Test It (page, admin, REST) and by whoever prints the work order for the PSA's administrator. The PSA's own
facts and probes stand in `integrations/psa/<kind>/permissions.py`; nothing here or there writes to a PSA.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, get_args

from integrations import connections, effective, lanes
from integrations.models import Credentials
from integrations.psa import kinds
from integrations.psa.errors import PsaError
from integrations.psa.port import Check, Feature
from integrations.psa.rights import FEATURE_NAMES, Asked, asked
from portal import background, clock, inheritance
from portal.models import Client, Mode

STILL_FRESH = timedelta(seconds=10)
"""Asking again so soon answers the last report: each visit costs up to twenty calls of the PSA's budget."""
MODULES: Mapping[str, tuple[Feature, ...]] = {
    "tickets": ("tickets", "closing"),
    "billing": ("billing",),
    "statistics": ("statistics",),
}
EXTRAS: tuple[Feature, ...] = ("inbound", "hosted_tab", "cross_references")
ONLY_WHEN_SAID = ("statistics",)


# --- What the role has to be good for --------------------------------------------------------------------------------


def features_in_use(row: Credentials) -> Asked:
    """From the modes in effect wherever these credentials are: a module that only observes needs to read, no more.

    Tickets and billing are live when nobody says otherwise; statistics count once somebody set their mode. Choices are
    always read. What no mode speaks of is in `also_used`.
    """
    modes = _modes(row)
    used: set[Feature] = {"choices", *_extras(row)}
    observed: set[Feature] = set()
    for module, features in MODULES.items():
        said = modes[module]
        in_effect = said - {None} if module in ONLY_WHEN_SAID else {mode or Mode.LIVE for mode in said}
        if in_effect:
            used.update(features)
        if in_effect == {Mode.OBSERVE}:
            observed.update(features)
    if "cross_references" in used and "billing" in observed:
        observed.add("cross_references")
    return asked(used, observed)


def extras_of(kind: str) -> tuple[Feature, ...]:
    """What may be ticked besides the modules."""
    found = kinds.ABILITIES[kind]
    offered = {"inbound": True, "hosted_tab": found.hosted_tab, "cross_references": found.cross_references}
    return tuple(name for name in EXTRAS if offered[name])


def _extras(row: Credentials) -> list[Feature]:
    return [feature for feature in extras_of(row.kind) if feature in row.also_used]


def _modes(row: Credentials) -> dict[str, set[str | None]]:
    """Each module's modes at all levels that use these credentials; None where nobody says."""
    tree = inheritance.Tree.of(row.partner_id)
    rows = effective.by_level(row.partner_id)
    places = [node for node in tree.by_id.values() if _is_used_at(row, tree.upwards(node.pk), rows)]
    said_at = Client.objects.filter(partner_id=row.partner_id).exclude(
        tickets_mode=None, billing_mode=None, statistics_mode=None
    )
    clients = [row.client] if row.client else []
    clients += [client for client in said_at if _is_used_at(row, tree.levels_of(client), rows)]
    paths = [tree.upwards(node.pk) for node in places] + [tree.levels_of(client) for client in clients]
    return {
        module: {
            inheritance.resolve(f"{module}_mode", path, {level.pk: level for level in path}).value
            for path in paths
        }
        for module in MODULES
    }


def _is_used_at(row: Credentials, path: Iterable[Any], rows: Mapping[Any, Credentials]) -> bool:
    found = inheritance.nearest(path, rows)
    return found is not None and found.pk == row.pk


# --- The visit -------------------------------------------------------------------------------------------------------


def ask(row: Credentials, also: Collection[str] | None = None) -> None:
    """Test It: the worker does it, the page shows what came of it. `also`: extras to check for from now on."""
    if also is not None:
        row.also_used = [feature for feature in extras_of(row.kind) if feature in also]
    row.test_asked_at = clock.now()
    row.save(update_fields=["also_used", "test_asked_at"])
    background.enqueue("integrations.jobs.test_connection", str(row.pk))


def examine(row: Credentials) -> list[Check]:
    """Try the connection and every right it needs, by reading only; keeps the report.

    A report about credentials that were changed meanwhile is thrown away.
    """
    what = features_in_use(row)
    try:
        with connections.psa_for(row) as psa:
            checks = psa.check(what.features, what.observed)
    except PsaError as error:
        checks = [Check(name="Connection", verdict="failed", detail=error.text, fix=error.advice)]
    row.tested_at, row.test_passed = clock.now(), succeeded(checks)
    row.test_report = [asdict(check) for check in checks]
    unchanged = Credentials.objects.filter(pk=row.pk, version=row.version)
    if not unchanged.update(
        tested_at=row.tested_at, test_passed=row.test_passed, test_report=row.test_report
    ):
        Credentials.objects.filter(pk=row.pk).update(tested_at=row.tested_at)
        row.refresh_from_db(fields=["test_passed", "test_report"])
    elif row.test_passed:
        lanes.resume(row.lane)
    return checks


def examine_again(row: Credentials) -> list[Check]:
    """The report of a moment ago, or a new one."""
    is_fresh = row.tested_at is not None and clock.now() - row.tested_at < STILL_FRESH
    if is_fresh and row.test_passed is not None:
        return report_of(row)
    return examine(row)


def succeeded(checks: Iterable[Check]) -> bool:
    """Nothing that is needed failed or was left untried. "Probably" counts: the PSA does not tell more."""
    return not any(
        check.verdict == "failed" or (check.verdict == "skipped" and check.kind in ("step", "right"))
        for check in checks
    )


def report_of(row: Credentials) -> list[Check]:
    """The last report. Lines that an older version stored lack what it did not know."""
    known = {field.name for field in fields(Check)}
    return [
        Check(**{name: _frozen(value) for name, value in line.items() if name in known})
        for line in row.test_report
    ]


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True)
class Summary:
    """What stands above the lines of a report: what is known of each feature, and how many lines say what."""

    works: tuple[str, ...]
    unsure: tuple[str, ...]
    untried: tuple[str, ...]
    broken: tuple[str, ...]
    failed: int
    not_needed: int


def summary(checks: Sequence[Check]) -> Summary:
    """Feature by feature, by the worst of its lines: broken, not tried, rests on a "probably", works."""
    lines = [check for check in checks if check.kind == "right"]
    states: dict[Feature, str] = {}
    for feature in get_args(Feature):
        verdicts = {check.verdict for check in lines if feature in check.features}
        if any(feature in check.breaks for check in lines):
            states[feature] = "broken"
        elif verdicts:
            states[feature] = next((name for name in ("skipped", "probably") if name in verdicts), "passed")

    def named(state: str) -> tuple[str, ...]:
        return tuple(FEATURE_NAMES[feature] for feature, found in states.items() if found == state)

    return Summary(
        works=named("passed"),
        unsure=named("probably"),
        untried=named("skipped"),
        broken=named("broken"),
        failed=sum(check.verdict == "failed" for check in checks),
        not_needed=sum(check.verdict == "not needed" for check in checks),
    )


def lines_in_short(checks: Iterable[Check]) -> list[tuple[str, str, str]]:
    """Name, verdict, and what to do about it."""
    return [(check.name, check.verdict, check.fix if check.verdict == "failed" else "") for check in checks]


# --- The work order --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WorkOrder:
    """What the PSA's administrator has to set, in the PSA's own words, and what may be taken away.

    `grants` are the lines of the minimal role with the verdict of the last test, if it is still about these
    credentials. Holds no secret.
    """

    psa: str
    level: str
    site: str
    account: str
    made_at: datetime
    tested_at: datetime | None
    before: tuple[str, ...]
    after: tuple[str, ...]
    grants: tuple[Check, ...]
    taken_away: tuple[Check, ...]
    advice: tuple[Check, ...]

    @property
    def open_grants(self) -> int:
        return sum(check.verdict != "passed" for check in self.grants)


def work_order(row: Credentials) -> WorkOrder:
    kind = kinds.KINDS[row.kind]
    report = report_of(row) if row.test_passed is not None else []
    tested = {check.name: check for check in report}
    grants = tuple(
        _with_verdict(needed, tested.get(needed.name)) for needed in kind.minimal_role(features_in_use(row))
    )
    return WorkOrder(
        psa=kind.label,
        level=str(row.level),
        site=row.site_url,
        account=row.public_key,
        made_at=clock.now(),
        tested_at=row.tested_at if report else None,
        before=kind.role_guide.before,
        after=kind.role_guide.after,
        grants=grants,
        taken_away=tuple(check for check in report if check.excess or check.kind == "excess"),
        advice=tuple(check for check in report if check.kind == "advice" and check.verdict == "probably"),
    )


def _with_verdict(needed: Check, tested: Check | None) -> Check:
    """A verdict on other levels than those needed now says nothing about them."""
    if tested is None or tuple(tested.needs) != tuple(needed.needs):
        return replace(needed, detail="")
    return replace(needed, verdict=tested.verdict, detail=tested.detail)


VERDICT_WORDS: Mapping[str, str] = {
    "passed": "is set",
    "failed": "MISSING",
    "probably": "please check",
    "skipped": "not tested",
    "not needed": "not needed",
}


_HEAD = "| area | right and level | needed | now |\n|---|---|---|---|"


def as_markdown(order: WorkOrder) -> str:
    """The same as text: for a ticket, a mail, a change request."""
    tested = f"{order.tested_at:%Y-%m-%d %H:%M} UTC" if order.tested_at else "not tested yet"
    parts = [
        f"# Work order: rights of PSA Portal in {order.psa}",
        "  \n".join(
            (
                f"For: {_plain(order.level)}",
                f"Site: {_plain(order.site)}",
                f"API key: {_plain(order.account)}",
                f"As of: {order.made_at:%Y-%m-%d %H:%M} UTC; last test: {tested}",
            )
        ),
        "## First",
        _numbered(order.before),
        "## Rights to grant",
        "\n".join((_HEAD, *(_grant(check) for check in order.grants))),
        "### Where to click",
        "\n".join(f"- {_plain(check.area)}: {_plain(check.fix)}" for check in order.grants),
        "## Then",
        _numbered(order.after),
    ]
    if order.taken_away:
        parts += [
            "## Rights to take away",
            "Nothing in PSA Portal uses these. Leave them only if something else signs in with the same key.",
            "\n".join(
                f"- {_plain(check.area or check.name)}: {_plain('; '.join(check.excess) or check.detail)}"
                for check in order.taken_away
            ),
        ]
    if order.advice:
        parts += [
            "## Please look at",
            "\n".join(
                f"- {_plain(check.name)}: {_plain(check.detail)} {_plain(check.fix)}"
                for check in order.advice
            ),
        ]
    return "\n\n".join(parts) + "\n"


def _grant(check: Check) -> str:
    needed = f"{check.why} ({words(check)})"
    cells = (check.area, ", ".join(check.needs), needed, VERDICT_WORDS[check.verdict])
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def words(check: Check) -> str:
    """The features of a line, for people."""
    return ", ".join(FEATURE_NAMES[feature] for feature in check.features)


def _numbered(steps: Iterable[str]) -> str:
    return "\n".join(f"{number}. {_plain(step)}" for number, step in enumerate(steps, start=1))


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|")


def _plain(text: str) -> str:
    """One line; names come from people and PSAs, and must not end a list or begin a heading."""
    return " ".join(text.split())
