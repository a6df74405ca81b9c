"""What do reading and writing an entity mean? Creating, patching, replacing and deleting, for every entity alike.

Autotask REST v1.0: a create answers an id and nothing else, an update names its row in the body, a child is written
through its parent's address.
"""

from collections.abc import Mapping
from typing import Any

from integrations.sandbox.autotask import udfs
from integrations.sandbox.autotask.answers import NO_MATCH, Refused, missing
from integrations.sandbox.autotask.billing import NAMES_OF, adjust
from integrations.sandbox.autotask.desk import Desk
from integrations.sandbox.autotask.entities import Entity
from integrations.sandbox.autotask.store import Record
from integrations.sandbox.autotask.validation import Checking, object_of
from integrations.sandbox.autotask.webhooks import STEMS, check_new_webhook, settle_readiness

_ADJUSTMENTS = ("ContractServiceAdjustments", "ContractServiceBundleAdjustments")
PARENT_TABLES = {"UserDefinedFields": "UserDefinedFieldDefinitions"}
Given = Mapping[str, Any]


class Collection:
    """One entity's rows, or those of one parent."""

    def __init__(self, entity: Entity, desk: Desk, parent_id: int | None = None) -> None:
        self._entity = entity
        self._desk = desk
        self._parent_id = parent_id

    def find(self, row_id: int) -> Record | None:
        row = self._desk.store.get(self._entity.name, row_id)
        if row is None or not self._desk.sees(self._entity.name, row):
            return None
        is_elsewhere = self._parent_id is not None and row.get(self._entity.link or "") != self._parent_id
        return None if is_elsewhere else row

    def children(self) -> list[Record]:
        store, name, link = self._desk.store, self._entity.name, self._entity.link or ""
        if link in store.table(name).indexes:
            rows = store.where(name, link, self._parent_id)
        else:
            rows = [row for row in store.all(name) if row.get(link) == self._parent_id]
        return [row for row in rows if self._desk.sees(name, row)]

    def create(self, body: Any) -> int | None:
        given = self._given(body)
        if self._entity.name in _ADJUSTMENTS:
            self._adjust(given)
            return None
        checking = self._checked(given, before=None)
        self._check_webhook(checking.values)
        record = self._entity.finish(self._desk, checking.finish(), None)
        row_id = self._desk.store.new_id(self._entity.name)
        saved = self._desk.created(self._entity.name, {"id": row_id, **record}, self._entity.kind)
        self._entity.after(self._desk, saved, None)
        return row_id

    def patch(self, body: Any) -> int:
        given = self._given(body)
        before = self._row_named_in(given)
        for name in self._entity.resend:
            if not any(key.lower() == name.lower() for key in given):
                raise Refused(missing(name))
        self.change(before, given)
        return int(before["id"])

    def put(self, body: Any) -> int:
        """Replace everything: what the body leaves out becomes null, unless only the server sets it."""
        given = self._given(body)
        before = self._row_named_in(given)
        known = {name.lower() for name in given}
        cleared: Record = {
            one.name: None
            for one in self._entity.shape.fields.values()
            if one.name.lower() not in known and not one.read_only and not one.fixed and not one.required
        }
        for one in self._entity.shape.fields.values():
            if (
                one.required
                and not one.fixed
                and one.name.lower() not in known
                and one.name != self._entity.link
            ):
                raise Refused(missing(one.name))
        self.change(before, {**cleared, **given})
        return int(before["id"])

    def change(self, before: Record, given: Given) -> Record:
        record = self._checked(given, before=before).finish()
        record = self._entity.finish(self._desk, record, before)
        saved = self._desk.updated(self._entity.name, before, record)
        self._entity.after(self._desk, saved, before)
        return saved

    def delete(self, row_id: int) -> int:
        row = self.find(row_id)
        if row is None:
            raise Refused(NO_MATCH)
        self._desk.deleted(self._entity.name, row)
        for stem in STEMS:
            if self._entity.name in (f"{stem}WebhookFields", f"{stem}WebhookUdfFields"):
                settle_readiness(self._desk.store, stem, row["webhookID"])
        return row_id

    def shown(self, record: Record, names: tuple[str, ...] | None = None) -> Record:
        """The record as the API answers it: every field, empty ones null, or only the wanted ones."""
        shape = self._entity.shape
        found = {name: record.get(name) for name in names or shape.names if name != "userDefinedFields"}
        if self._desk.switches.dates == "zulu":
            for name in shape.dates:
                if value := found.get(name):
                    found[name] = f"{value}Z"
        if shape.has_udfs and (names is None or "userDefinedFields" in names):
            may_see = self._desk.switches.protected_udfs_visible
            values = record.get("_udfs", {})
            found["userDefinedFields"] = udfs.shown(
                self._desk.store, shape.entity, values, may_see_protected=may_see
            )
        return found

    def _given(self, body: Any) -> Given:
        given = object_of(body)
        if self._parent_id is None or self._entity.parent is None:
            return given
        table = PARENT_TABLES.get(self._entity.parent, self._entity.parent)
        if self._desk.store.get(table, self._parent_id) is None:
            raise Refused(NO_MATCH)
        link = (self._entity.link or "").lower()
        kept = {name: value for name, value in given.items() if name.lower() != link}
        return {**kept, self._entity.link or "": self._parent_id}

    def _row_named_in(self, given: Given) -> Record:
        row_id = next((value for name, value in given.items() if name.lower() == "id"), None)
        if isinstance(row_id, str) and row_id.isdigit():
            row_id = int(row_id)
        row = self.find(row_id) if isinstance(row_id, int) else None
        if row is None:
            raise Refused(NO_MATCH)
        return row

    def _checked(self, given: Given, *, before: Record | None) -> Checking:
        checking = Checking(self._desk, self._entity.shape, before)
        checking.take(given)
        self._entity.fill(self._desk, checking, given)
        return checking

    def _adjust(self, given: Given) -> None:
        """An adjustment is never seen again; the only answer to it is that there was no error."""
        record = self._checked(given, before=None).finish()
        adjust(self._desk, NAMES_OF[self._entity.name], record)

    def _check_webhook(self, values: Record) -> None:
        if self._entity.kind == "webhook" and values.get("webhookUrl"):
            check_new_webhook(self._desk, self._entity.name, values["webhookUrl"])
