"""The management report of a company: its managed ID, the two entries under it, their counters (asked when due).

A managed ID needs two entries on the company's Management tab, in this order and both without an agreement: first
"Workstations and Servers", then "Backup Stats". In another order no data reaches the report (seen by partners). So
the entry with the lower number is made the first one, whatever it was. Nothing is ever deleted.

Facts: ConnectWise REST 2026.4, `/company/companies/{id}/managementSummaryReports`; what the printed report makes of
the counters is not documented (docs/psa/connectwise.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from integrations.psa.connectwise.devices import Devices
from integrations.psa.connectwise.reportsetup import SOLUTION_ADVICE
from integrations.psa.connectwise.rest import Rest, Row, id_of, number, text_of
from integrations.psa.errors import Unsettled
from integrations.psa.plan import Finding, Plan, PlanItem, Request
from integrations.psa.wanted import WantedReport

RECORD = "management report entry"
FIRST, SECOND, ASIDE = "WorkstationsAndServers", "BackupStats", "Servers"
LABELS = {
    FIRST: "Workstations and Servers",
    SECOND: "Backup Stats",
    ASIDE: "Servers",
    "Workstations": "Workstations",
}
MANAGED_ID_LENGTH = 100
REPAIR_ADVICE = (
    "In ConnectWise, System > Setup Tables > Managed Devices Integration > Companies: of this company keep two entries"
    " for {managed_id}, first Workstations and Servers, then Backup Stats, both without an agreement; remove the rest."
)
_NAMES = {
    "groupIdentifier": "managed_id",
    "deviceType": "device_type",
    "totalServers": "servers",
    "totalWorkstations": "workstations",
    "totalManagedMachines": "machines",
    "successfulBackupJobs": "successful_jobs",
    "failedBackupJobs": "failed_jobs",
}
_FIELDS = f"id,managementSolution/id,agreement/id,{','.join(_NAMES)}"

Values = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One of the two entries as it should be: its key in the plan and its fields as ConnectWise names them.

    `blank` are the other entry's counters: left over from a former device type they would be counted twice.
    """

    key: str
    values: Values
    blank: Values


def entries_of(wanted: WantedReport) -> tuple[Entry, Entry]:
    counts = {
        "totalServers": wanted.servers,
        "totalWorkstations": wanted.workstations,
        "totalManagedMachines": wanted.servers + wanted.workstations,
    }
    jobs = {"successfulBackupJobs": wanted.successful_jobs, "failedBackupJobs": wanted.failed_jobs}
    group = {"groupIdentifier": wanted.managed_id}
    return (
        Entry(
            key="workstations_and_servers",
            values={**group, "deviceType": FIRST, **counts},
            blank=dict.fromkeys(jobs, 0),
        ),
        Entry(
            key="backup_stats",
            values={**group, "deviceType": SECOND, **jobs},
            blank=dict.fromkeys(counts, 0),
        ),
    )


class Reports:
    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._devices = Devices(rest)

    def plan(self, wanted: WantedReport) -> Plan:
        """Two reads, a third when devices are to be told; a write for each entry and device that differs."""
        outcomes: list[PlanItem | Finding | str] = []
        found: list[Row] = []
        solution = self._solution(wanted.solution)
        if isinstance(solution, Finding):
            outcomes.append(solution)
        else:
            found = self._entries(wanted, solution)
            outcomes += _planned(wanted, solution, found)
        outcomes += self._devices.plan(wanted)
        entries = [{"id": text_of(row, "id"), **_ours(row)} for row in found]
        return Plan.of(f"report:{wanted.company_id}", outcomes, {"entries": entries})

    def _solution(self, name: str) -> Row | Finding:
        """The custom solution of that name; by either of its two names, since people mix them up."""
        rows = self._rest.all(
            "/company/managementItSolutions", fields="id,name,managementItSolutionType,managementSolutionName"
        )
        wanted = name.strip().casefold()
        same = [
            row
            for row in rows
            if wanted
            in (
                text_of(row, "managementSolutionName").strip().casefold(),
                text_of(row, "name").strip().casefold(),
            )
        ]
        if len(same) == 1:
            return same[0]
        if not same:
            text = f"ConnectWise has no management IT solution “{name}”."
            return Finding(
                key="report", code="solution_missing", text=text, advice=SOLUTION_ADVICE.format(name=name)
            )
        ids = ", ".join(text_of(row, "id") for row in same)
        text = f"{len(same)} management IT solutions of ConnectWise are called “{name}” ({ids})."
        return Finding(key="report", code="solution_ambiguous", text=text, advice="Keep one of them.")

    def _entries(self, wanted: WantedReport, solution: Row) -> list[Row]:
        """All of the company under this solution, in the order of ConnectWise."""
        rows = [
            row
            for row in self._rest.all(_path(wanted), fields=_FIELDS)
            if id_of(row, "managementSolution") == text_of(solution, "id")
        ]
        return sorted(rows, key=lambda row: number(text_of(row, "id")))


def _path(wanted: WantedReport) -> str:
    return f"/company/companies/{number(wanted.company_id, 'company')}/managementSummaryReports"


def _planned(wanted: WantedReport, solution: Row, rows: Sequence[Row]) -> list[PlanItem | Finding | str]:
    own = [row for row in rows if _is_id(row, wanted.managed_id)]
    outcomes: list[PlanItem | Finding | str] = [*_foreign(wanted, rows), *_with_agreement(wanted, own)]
    if len(own) > 2:
        ids = ", ".join(text_of(row, "id") for row in own)
        text = f"{wanted.managed_id} has {len(own)} management entries ({ids}) in place of two."
        advice = REPAIR_ADVICE.format(managed_id=wanted.managed_id)
        return [*outcomes, Finding(key="report", code="report_ambiguous", text=text, advice=advice)]
    entries = entries_of(wanted)
    outcomes += _swapped_aside(wanted, own)
    outcomes += _updates(wanted, entries, own)
    outcomes += [_create(wanted, solution, entry) for entry in entries[len(own) :]]
    return outcomes


def _is_id(row: Row, managed_id: str) -> bool:
    return text_of(row, "groupIdentifier").strip().casefold() == managed_id.strip().casefold()


def _swapped_aside(wanted: WantedReport, own: Sequence[Row]) -> list[PlanItem]:
    """Two entries that stand the wrong way round: a third type lets them pass each other, as no two may be alike."""
    if [row.get("deviceType") for row in own] != [SECOND, FIRST]:
        return []
    values = {"deviceType": ASIDE}
    return [
        _update(wanted, "backup_stats:aside", own[0], values, "The two entries stand in the wrong order.")
    ]


def _updates(wanted: WantedReport, entries: Sequence[Entry], own: Sequence[Row]) -> list[PlanItem | str]:
    """The second before the first where the first is to get a type that the second still has."""
    outcomes: list[PlanItem | str] = []
    for entry, row in zip(entries, own, strict=False):
        every = {**entry.values, **entry.blank}
        changed = {name: value for name, value in every.items() if not _is_same(row, name, value)}
        if changed:
            reason = f"The entry {LABELS[entry.values['deviceType']]} of {wanted.managed_id} differs."
            outcomes.append(_update(wanted, entry.key, row, changed, reason))
        else:
            outcomes.append(entry.key)
    is_in_the_way = len(own) == 2 and own[1].get("deviceType") == FIRST
    return outcomes[::-1] if is_in_the_way else outcomes


def _is_same(row: Row, name: str, value: Any) -> bool:
    """Counters that were never set are left out by ConnectWise, and mean 0."""
    shown = row.get(name)
    return shown == value or (shown is None and value == 0)


def _update(wanted: WantedReport, key: str, row: Row, changed: Mapping[str, Any], reason: str) -> PlanItem:
    record_id = text_of(row, "id")
    return PlanItem(
        key=key,
        action="update",
        record=RECORD,
        record_id=record_id,
        before={ours: row.get(name) for name, ours in _NAMES.items() if name in changed},
        after={_NAMES[name]: value for name, value in changed.items()},
        reason=reason,
        request=Request(
            method="PATCH",
            path=f"{_path(wanted)}/{number(record_id)}",
            body=[{"op": "replace", "path": name, "value": value} for name, value in changed.items()],
        ),
    )


def _create(wanted: WantedReport, solution: Row, entry: Entry) -> PlanItem:
    label = LABELS[entry.values["deviceType"]]
    return PlanItem(
        key=entry.key,
        action="create",
        record=RECORD,
        record_id=None,
        before={},
        after={_NAMES[name]: value for name, value in entry.values.items()},
        reason=f"{wanted.managed_id} has no entry {label} yet.",
        request=Request(
            method="POST",
            path=_path(wanted),
            body={"managementSolution": {"id": number(text_of(solution, "id"))}, **entry.values},
        ),
    )


def _foreign(wanted: WantedReport, rows: Sequence[Row]) -> list[Finding]:
    others = sorted({text_of(row, "groupIdentifier") for row in rows if not _is_id(row, wanted.managed_id)})
    if not others:
        return []
    text = f"The company also has management entries for {', '.join(others)}; this client is {wanted.managed_id}."
    advice = "If that is a mistyped managed ID, remove those entries: their numbers are not kept up to date."
    return [Finding(key="report", code="managed_id_other", text=text, advice=advice)]


def _with_agreement(wanted: WantedReport, own: Sequence[Row]) -> list[Finding]:
    bound = [LABELS.get(text_of(row, "deviceType"), "an entry") for row in own if id_of(row, "agreement")]
    if not bound:
        return []
    return [
        Finding(
            key="report",
            code="report_agreement",
            text=f"{' and '.join(bound)} of {wanted.managed_id} must have no agreement, and has one.",
            advice=REPAIR_ADVICE.format(managed_id=wanted.managed_id),
        )
    ]


def _ours(row: Row) -> dict[str, Any]:
    return {ours: row[name] for name, ours in _NAMES.items() if name in row}


def shown_entry(row: Row) -> dict[str, Any]:
    """What ConnectWise answered to a write of an entry, in our words."""
    return _ours(row)


def require_entry(row: Row, after: Mapping[str, Any]) -> None:
    """Both entries are verified by what was answered: a field that is shown must be as it was sent."""
    shown = _ours(row)
    wrong = [name for name, value in after.items() if name in shown and shown[name] != value]
    if wrong:
        raise Unsettled(
            f"ConnectWise kept another {', '.join(wrong)} than was sent for the management report.",
            advice="It is looked at again by itself. If it stays like this, look at the company's Management tab.",
        )
