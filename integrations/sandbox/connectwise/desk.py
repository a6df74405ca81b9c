"""What every handler works with: the store, the settings in force, and the clock."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from integrations.sandbox.connectwise.answers import forbidden
from integrations.sandbox.connectwise.auditing import TYPE_OF, changes_between
from integrations.sandbox.connectwise.role import level
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

    def require(self, function: str, right: str, entry: str = "", record: Record | None = None) -> None:
        """Refuse what the role does not give. A level of My reaches what the API member owns, and nothing else."""
        granted = "All" if self.is_technician else level(self.settings.role, function, right, entry)
        if granted == "None" or (granted == "My" and record is not None and not self.owns(record)):
            raise forbidden()

    def sees_only_its_own(self, function: str, right: str) -> bool:
        return not self.is_technician and level(self.settings.role, function, right) == "My"

    def owns(self, record: Record) -> bool:
        """Only tickets have an owner; everything else belongs to nobody in particular, so to no API member.

        A switch has it otherwise: what somebody entered is his, or a level of My is as good as All.
        """
        how = self.settings.switches.my_level
        if how == "entered":
            return bool(record.get("_info", {}).get("enteredBy", self.actor) == self.actor)
        owner = record.get("owner")
        return how == "all" or (isinstance(owner, dict) and owner.get("identifier") == self.actor)

    def hides(self, function: str, record: Record) -> bool:
        """Whether a record that is not the member's is not found, instead of forbidden."""
        is_silent = self.settings.switches.my_level == "entered"
        return is_silent and self.sees_only_its_own(function, "inquire") and not self.owns(record)

    def save_new(self, table: str, record: Record) -> Record:
        """Give the record its `_info`, store it and write it into the journal."""
        now = self.now()
        entered = {"lastUpdated": now, "updatedBy": self.actor, "dateEntered": now, "enteredBy": self.actor}
        saved = self.store.put(table, {**record, "_info": entered})
        self.store.created(table, saved, request=self.request_number, at=self.clock())
        return saved

    def save(self, table: str, record: Record) -> Record:
        updated = {**record.get("_info", {}), "lastUpdated": self.now(), "updatedBy": self.actor}
        if table in TYPE_OF:
            self._audit(table, record)
        return self.store.put(table, {**record, "_info": updated})

    def _audit(self, table: str, record: Record) -> None:
        """One row for a change, with a sentence for each field."""
        texts = list(changes_between(self.store.get(table, record["id"]) or {}, record))
        if texts:
            row = {"id": self.store.new_id("audit"), "_type": TYPE_OF[table], "_record": record["id"]}
            row |= {"texts": texts, "at": self.now(), "by": self.actor, "in_psa": self.is_technician}
            self.store.put("audit", row)
