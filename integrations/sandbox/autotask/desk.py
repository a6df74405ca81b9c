"""What every handler works with: the store, the settings in force, the clock, and who is acting."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from integrations.sandbox.autotask.answers import not_permitted
from integrations.sandbox.autotask.role import area_of, level
from integrations.sandbox.autotask.settings import API_USER, Settings, Switches
from integrations.sandbox.autotask.store import Event, Record, Store

Clock = Callable[[], datetime]
MIDNIGHT = "T00:00:00.000"
OTHER_LINE_OF_BUSINESS = 2
"""The territory whose companies a security level of `Restricted` does not see."""


def wall_clock() -> datetime:
    return datetime.now(UTC)


def stored_time(at: datetime) -> str:
    """UTC with milliseconds and without a mark of the zone: texts of one length, which sort as the times do."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")


def stored_day(day: date) -> str:
    return day.isoformat() + MIDNIGHT


def day_of(text: str) -> date:
    return date.fromisoformat(text[:10])


@dataclass(slots=True)
class Desk:
    """`actor` is a resource: the API user, the one it impersonates, or the technician of the control door."""

    store: Store
    settings: Settings
    clock: Clock = wall_clock
    actor: int = API_USER
    is_technician: bool = False
    request_number: int | None = None
    impersonator: int | None = None

    @property
    def switches(self) -> Switches:
        return self.settings.switches

    def now(self) -> str:
        return stored_time(self.clock())

    def today(self) -> date:
        return self.clock().astimezone(UTC).date()

    def require(self, entity: str, right: str) -> None:
        """Refuse what the security level does not give, and writes to a module that is switched off."""
        if self.is_technician:
            return
        off = {name.strip() for name in self.switches.modules_off.split(",")}
        denied = level(self.settings.role, entity, right) == "None"
        if denied or (right != "query" and area_of(entity) in off):
            raise not_permitted(right, status=self.switches.permission_status)

    def sees(self, entity: str, record: Record) -> bool:
        """With restricted access the rows of another line of business are missing, and nothing says so."""
        if self.is_technician or level(self.settings.role, entity, "query") != "Restricted":
            return True
        company = (
            record if entity == "Companies" else self.store.get("Companies", record.get("companyID", -1))
        )
        return company is None or company.get("territoryID") != OTHER_LINE_OF_BUSINESS

    def created(self, entity: str, record: Record, kind: str) -> Record:
        saved = self.store.put(entity, record)
        self.store.log(kind, saved, request=self.request_number, at=self.clock())
        self.store.events.append(Event(entity, "Create", {}, saved, self.actor))
        return saved

    def updated(self, entity: str, before: Record, record: Record) -> Record:
        saved = self.store.put(entity, record)
        self.store.events.append(Event(entity, "Update", before, saved, self.actor))
        return saved

    def deleted(self, entity: str, record: Record) -> None:
        self.store.delete(entity, record["id"])
        self.store.events.append(Event(entity, "Delete", record, {}, self.actor))
