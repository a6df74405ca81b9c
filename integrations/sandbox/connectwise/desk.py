"""What every handler works with: the store, the settings in force, and the clock."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from integrations.sandbox.connectwise.answers import forbidden
from integrations.sandbox.connectwise.role import allows
from integrations.sandbox.connectwise.settings import API_MEMBER, Settings
from integrations.sandbox.connectwise.store import Record, Store

Clock = Callable[[], datetime]


def wall_clock() -> datetime:
    return datetime.now(UTC)


def wire_time(at: datetime) -> str:
    """Date-times have no fractions at the wire."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(slots=True)
class Desk:
    """`actor` is who `_info` and closed tickets name: the API member, or the technician of the control door."""

    store: Store
    settings: Settings
    clock: Clock = wall_clock
    actor: str = API_MEMBER
    is_technician: bool = False
    request_number: int | None = None

    def now(self) -> str:
        return wire_time(self.clock())

    def midnight(self, day: str = "") -> str:
        """A day (default: today) as the server writes date-only values."""
        hour = "04" if self.settings.switches.midnight == "server" else "00"
        return f"{(day or self.now())[:10]}T{hour}:00:00Z"

    def sees(self, function: str, record: Record) -> bool:
        """With a level of My the records of others may be missing, and nothing says so."""
        if self.is_technician or self.settings.switches.my_level == "all":
            return True
        if self.settings.role.get(function, {}).get("inquire") != "My":
            return True
        return bool(record.get("_info", {}).get("enteredBy") == self.actor)

    def require(self, function: str, right: str) -> None:
        if not self.is_technician and not allows(self.settings.role, function, right):
            raise forbidden()

    def save_new(self, table: str, record: Record) -> Record:
        """Give the record its `_info`, store it and write it into the journal."""
        now = self.now()
        entered = {"lastUpdated": now, "updatedBy": self.actor, "dateEntered": now, "enteredBy": self.actor}
        saved = self.store.put(table, {**record, "_info": entered})
        self.store.created(table, saved, request=self.request_number, at=self.clock())
        return saved

    def save(self, table: str, record: Record) -> Record:
        updated = {**record.get("_info", {}), "lastUpdated": self.now(), "updatedBy": self.actor}
        return self.store.put(table, {**record, "_info": updated})
