"""The clocks of a ticket's service level: when it has to be answered, planned and resolved (ConnectWise REST 2026.4).

Goals follow from the ticket's SLA when the ticket is saved. The part that the status plays (`escalationStatus`) stops
the clocks one after another. Stored minutes are those of the last save; `/service/tickets/calculateSla` tells them as
of now. Every SLA counts all hours here, and what the status text looks like is not public: both are ours.
"""

from datetime import datetime, timedelta

from integrations.sandbox.connectwise.desk import Desk, wire_time
from integrations.sandbox.connectwise.store import Record

_STEPS = ("Responded", "ResolutionPlan", "Resolved")
_CLOCKS = (
    ("Respond", "respondHours", "respondByGoalUTC", "dateResponded", "respondMinutes", "respondedBy"),
    ("Plan", "planWithin", "resplanGoalUTC", "dateResplan", "resPlanMinutes", "resplanBy"),
    ("Resolve", "resolutionHours", "resolutionGoalUTC", "dateResolved", "resolveMinutes", "resolvedBy"),
)
"""Name, hours in the SLA, goal, moment at which it stopped, minutes it ran, and who stopped it."""


def on_the_clock(desk: Desk, record: Record, before: Record | None) -> Record:
    """The ticket with its clocks as this save leaves them."""
    sla = _sla_of(desk, record)
    if sla is None:
        return record
    known = before or {}
    start = known.get("escalationStartDateUTC") or known.get("_info", {}).get("dateEntered") or desk.now()
    record = {**record, "sla": desk.store.reference("slas", sla["id"]), "escalationStartDateUTC": start}
    begun = datetime.fromisoformat(start)
    reached = _reached(desk, record)
    for step, (_, hours, goal, stopped, _, by) in enumerate(_CLOCKS):
        if sla.get(hours):
            record[goal] = wire_time(begun + timedelta(hours=sla[hours]))
        if step < reached and stopped not in record:
            record |= {stopped: desk.now(), by: desk.actor}
        elif step >= reached:
            record = {name: value for name, value in record.items() if name not in (stopped, by)}
    return as_of(desk, record, desk.clock())


def as_of(desk: Desk, record: Record, now: datetime) -> Record:
    """Minutes and the status text at that moment."""
    if "escalationStartDateUTC" not in record:
        return record
    begun = datetime.fromisoformat(record["escalationStartDateUTC"])
    found, late, due = dict(record), False, ""
    for name, _, goal, stopped, minutes, _ in _CLOCKS:
        ends = datetime.fromisoformat(record[stopped]) if stopped in record else now
        found[minutes] = max(int((ends - begun).total_seconds() // 60), 0)
        if goal in record:
            by = datetime.fromisoformat(record[goal])
            late = late or ends > by
            if stopped not in record and not due:
                due = f"{name} by {by:%a %m/%d %I:%M %p} UTC+00"
    return {**found, "isInSla": not late, "slaStatus": due or "Resolved"}


def _reached(desk: Desk, record: Record) -> int:
    """How many clocks have stopped by the part that the status plays."""
    status = desk.store.get("statuses", record["status"]["id"]) or {}
    part = status.get("escalationStatus")
    if status.get("closedStatus"):
        return len(_STEPS)
    return _STEPS.index(part) + 1 if part in _STEPS else 0


def _sla_of(desk: Desk, record: Record) -> Record | None:
    if "sla" in record:
        return desk.store.get("slas", record["sla"]["id"])
    return next((one for one in desk.store.all("slas") if one.get("defaultFlag")), None)
