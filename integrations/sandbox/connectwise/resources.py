"""Which collections does the API have, and what do reading and writing one mean?

A `Resource` is one collection of the API: its path, table and shape, the security function it needs, what may be done
to it, and the rules that only it has. `Collection` carries a request out against it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from integrations.sandbox.connectwise import role, shapes
from integrations.sandbox.connectwise.agreements import after_agreement, finish_addition, finish_agreement
from integrations.sandbox.connectwise.answers import Refused, not_found
from integrations.sandbox.connectwise.assets import finish_configuration, finish_product
from integrations.sandbox.connectwise.boards import after_subtype, drop_associations
from integrations.sandbox.connectwise.callbacks import finish_callback
from integrations.sandbox.connectwise.companies import (
    after_communication,
    after_communication_gone,
    after_contact,
    finish_communication,
    finish_company,
    finish_contact,
    finish_site,
)
from integrations.sandbox.connectwise.customfields import (
    finish_definition,
    show_everywhere,
    show_nowhere,
    with_custom_fields,
)
from integrations.sandbox.connectwise.desk import Desk
from integrations.sandbox.connectwise.devicesintegration import finish_cross_reference
from integrations.sandbox.connectwise.hostedsetup import finish_hosted_setup
from integrations.sandbox.connectwise.invoicing import void
from integrations.sandbox.connectwise.kinds import BASE, KINDS
from integrations.sandbox.connectwise.lists import Listing, Page, Wish
from integrations.sandbox.connectwise.patching import changes_in
from integrations.sandbox.connectwise.protecting import (
    refuse_change_of_invoice,
    refuse_removal_in_use,
    refuse_removal_of_addition,
    refuse_removal_of_invoice,
)
from integrations.sandbox.connectwise.reports import finish_report
from integrations.sandbox.connectwise.setup import SETUP
from integrations.sandbox.connectwise.shapes import Shape
from integrations.sandbox.connectwise.store import Record, Table, public
from integrations.sandbox.connectwise.tickets import (
    after_note,
    after_ticket,
    finish_note,
    finish_ticket,
    is_hidden,
    prepare_ticket,
)
from integrations.sandbox.connectwise.timeentries import as_note, with_notes
from integrations.sandbox.connectwise.validation import Checking

Given = Mapping[str, Any]
Prepare = Callable[[Desk, Given], Given]
Finish = Callable[[Desk, Record, Record | None], Record]
After = Callable[[Desk, Record, Given], None]
Removing = Callable[[Desk, Record], None]


def _same(desk: Desk, record: Record, before: Record | None) -> Record:
    return record


def _as_given(desk: Desk, given: Given) -> Given:
    return given


def _nothing(desk: Desk, record: Record, given: Given) -> None:
    return None


def _freely(desk: Desk, record: Record) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Resource:
    """`path` has `*` for ids; `may` is some of read, create, patch, put, delete; `writes_as` the right a POST needs.

    `entry` is the one of the function's customize list that has to be allowed, `created_as` the status of a POST's
    answer. `removing` may refuse a deletion, `removed` follows it. `rows` gathers what a list holds that is more than
    its table's rows, `hidden` tells which rows it leaves out.
    """

    path: str
    table: str
    shape: Shape
    function: str
    may: str = "read"
    parent_table: str | None = None
    writes_as: str = "add"
    prepare: Prepare = _as_given
    finish: Finish = _same
    after: After = _nothing
    removing: Removing = _freely
    removed: Removing = _freely
    shown: Callable[[Record], Record] | None = None
    can_search: bool = False
    entry: str = ""
    created_as: int = 201
    rows: Callable[[Desk, int], Table] | None = None
    hidden: Callable[[Desk, Record], bool] | None = None


ALL = "read create patch put delete"
_RULES: dict[str, dict[str, Any]] = {
    "customFields": {"finish": finish_definition, "after": show_everywhere, "removed": show_nowhere},
    "communications": {
        "finish": finish_communication,
        "after": after_communication,
        "removed": after_communication_gone,
    },
    "configurations": {"finish": finish_configuration},
    "invoices": {
        "finish": refuse_change_of_invoice,
        "removing": refuse_removal_of_invoice,
        "removed": void,
    },
    "hostedScreens": {"entry": role.HOSTED},
    "hostedSetups": {"finish": finish_hosted_setup, "entry": role.HOSTED},
    "management": {"entry": role.IT},
    "managementBackups": {"entry": role.IT},
    "managementProducts": {"entry": role.IT},
    "devicesIntegrations": {"entry": role.DEVICES},
    "crossReferences": {"entry": role.DEVICES, "finish": finish_cross_reference, "created_as": 200},
    "devicesLogins": {"entry": role.DEVICES, "created_as": 200},
    "devicesNotifications": {"entry": role.DEVICES, "created_as": 200},
    "configurationTypes": {"entry": role.CONFIGURATION},
}


def _side_record(
    path: str, table: str, shape: Shape, function: str, may: str, parent_table: str | None
) -> Resource:
    return Resource(path, table, shape, function, may, parent_table, **_RULES.get(table, {}))


_BOARD = "service/boards/*/"
_FREE_TO_GO = frozenset(("tickets", "notes", "additions", "reports", "associations"))
RESOURCES = (
    Resource(
        "company/companies",
        "companies",
        shapes.COMPANY,
        "company_maintenance",
        ALL,
        finish=finish_company,
    ),
    Resource(
        "company/contacts",
        "contacts",
        shapes.CONTACT,
        "contacts",
        ALL,
        finish=finish_contact,
        after=after_contact,
    ),
    Resource(
        "company/companies/*/sites",
        "sites",
        shapes.SITE,
        "company_maintenance",
        ALL,
        "companies",
        finish=finish_site,
    ),
    Resource(
        "company/companies/*/managementsummaryreports",
        "reports",
        shapes.REPORT,
        "company_maintenance",
        ALL,
        "companies",
        writes_as="edit",
        finish=finish_report,
    ),
    Resource(
        "company/managementitsolutions",
        "solutions",
        shapes.SOLUTION,
        "table_setup",
        ALL,
        entry=role.IT,
    ),
    Resource("system/callbacks", "callbacks", shapes.CALLBACK, "callbacks", ALL, finish=finish_callback),
    Resource("system/members", "members", shapes.MEMBER, "member_maintenance", "read create patch put"),
    Resource("system/apimembers", "members", shapes.MEMBER, "member_maintenance", "read create patch put"),
    Resource("service/boards", "boards", shapes.BOARD, "table_setup", ALL, entry=role.BOARDS),
    Resource("service/info/boards", "boards", shapes.BOARD, "service_tickets"),
    Resource(_BOARD + "statuses", "statuses", shapes.STATUS, "table_setup", ALL, "boards", entry=role.BOARDS),
    Resource(
        _BOARD + "types",
        "types",
        shapes.TYPE,
        "table_setup",
        ALL,
        "boards",
        removed=drop_associations,
        entry=role.BOARDS,
    ),
    Resource(
        _BOARD + "subtypes",
        "subtypes",
        shapes.SUBTYPE,
        "table_setup",
        ALL,
        "boards",
        after=after_subtype,
        removed=drop_associations,
        entry=role.BOARDS,
    ),
    Resource(
        _BOARD + "items",
        "items",
        shapes.ITEM,
        "table_setup",
        ALL,
        "boards",
        removed=drop_associations,
        entry=role.BOARDS,
    ),
    Resource(_BOARD + "teams", "teams", shapes.TEAM, "table_setup", ALL, "boards", entry=role.BOARDS),
    Resource(
        _BOARD + "typesubtypeitemassociations",
        "associations",
        shapes.ASSOCIATION,
        "table_setup",
        "read",
        "boards",
        entry=role.BOARDS,
    ),
    Resource("service/priorities", "priorities", shapes.PRIORITY, "table_setup", ALL, entry=role.PRIORITY),
    Resource("service/sources", "sources", shapes.SOURCE, "table_setup", ALL, entry=role.SOURCE),
    Resource(
        "service/tickets",
        "tickets",
        shapes.TICKET,
        "service_tickets",
        ALL,
        prepare=prepare_ticket,
        finish=finish_ticket,
        after=after_ticket,
        can_search=True,
        hidden=is_hidden,
    ),
    Resource(
        "service/tickets/*/notes",
        "notes",
        shapes.NOTE,
        "service_tickets",
        ALL,
        "tickets",
        writes_as="edit",
        finish=finish_note,
        after=after_note,
    ),
    Resource(
        "service/tickets/*/allnotes",
        "notes",
        shapes.ALL_NOTE,
        "service_tickets",
        "read",
        "tickets",
        shown=as_note,
        rows=with_notes,
    ),
    Resource(
        "procurement/catalog", "catalog", shapes.CATALOG_ITEM, "product_catalog", ALL, finish=finish_product
    ),
    Resource(
        "finance/agreements",
        "agreements",
        shapes.AGREEMENT,
        "agreements",
        ALL,
        finish=finish_agreement,
        after=after_agreement,
    ),
    Resource("finance/agreements/types", "agreementTypes", shapes.AGREEMENT_TYPE, "agreements", ALL),
    Resource(
        "finance/agreements/*/additions",
        "additions",
        shapes.ADDITION,
        "agreements",
        ALL,
        "agreements",
        finish=finish_addition,
        entry=role.ADDITIONS,
        removing=refuse_removal_of_addition,
    ),
    *(_side_record(*row) for row in SETUP),
)
TICKETS = next(one for one in RESOURCES if one.path == "service/tickets")
_SHAPES = {one.table: one.shape for one in reversed(RESOURCES)}
_BELOW = {
    table: tuple(sorted({one.table for one in RESOURCES if one.parent_table == table})) for table in _SHAPES
}
_NOT_BELOW = {
    table: {name: shape for name, shape in _SHAPES.items() if name not in (*_BELOW[table], "associations")}
    for table in _SHAPES
}
"""Tables whose rows go with the row they lie under, and those whose references keep it."""

_CHILD_LINKS = {
    "tickets": ("notes", "tasks", "documents", "configurations", "timeentries"),
    "companies": ("contacts", "agreements", "tickets", "sites"),
    "agreements": ("additions", "adjustments"),
    "boards": ("statuses", "types", "subtypes", "items", "teams"),
}


class Collection:
    """One resource for one request: `parent_id` is the id in the middle of the path, if there is one."""

    def __init__(self, resource: Resource, desk: Desk, parent_id: int | None) -> None:
        self._resource = resource
        self._desk = desk
        self._parent_id = parent_id

    def page(self, wish: Wish) -> Page:
        return self._listing().page(wish)

    def count(self, wish: Wish) -> int:
        return self._listing().count(wish)

    def get(self, row_id: int, right: str = "inquire") -> Record:
        self._require_parent()
        table = self._table()
        record = table.rows.get(row_id)
        is_elsewhere = self._parent_id is not None and record and table.parent_of(record) != self._parent_id
        if record is not None and self._is_hidden(record):
            record = None
        if record is None or is_elsewhere or self._desk.hides(self._resource.function, self._owned(record)):
            raise not_found(self._resource.shape.resource, row_id)
        self._require(right, record)
        return record

    def create(self, body: Any) -> Record:
        self._require_parent()
        given = self._resource.prepare(self._desk, _object(body, self._resource.shape))
        record = self._checked(given, before=None, creating=True)
        self._require(self._resource.writes_as, record)
        record = {"id": self._desk.store.new_id(self._resource.table), **self._parent_field(), **record}
        saved = self._desk.save_new(self._resource.table, self._resource.finish(self._desk, record, None))
        self._resource.after(self._desk, saved, given)
        return self._desk.store.table(self._resource.table).rows[saved["id"]]

    def patch(self, row_id: int, body: Any) -> Record:
        before = self.get(row_id, "edit")
        applies = self._desk.settings.switches.nested_patch == "apply"
        changes = changes_in(body, self._resource.shape, nested_applies=applies)
        return self.change(before, changes)

    def change(self, before: Record, changes: Given) -> Record:
        record = self._checked(changes, before=before, creating=False)
        saved = self._desk.save(self._resource.table, self._resource.finish(self._desk, record, before))
        self._resource.after(self._desk, saved, {})
        return saved

    def put(self, row_id: int, body: Any) -> Record:
        """Replace everything: what the body leaves out falls back to nothing or its default."""
        before = self.get(row_id, "edit")
        record = self._checked(_object(body, self._resource.shape), before=None, creating=True)
        own = {name: value for name, value in before.items() if name.startswith("_")}
        record = {"id": row_id, **self._parent_field(), **record, **own}
        saved = self._desk.save(self._resource.table, self._resource.finish(self._desk, record, before))
        self._resource.after(self._desk, saved, {})
        return saved

    def delete(self, row_id: int) -> None:
        record = self.get(row_id, "delete")
        self._resource.removing(self._desk, record)
        if self._resource.table not in _FREE_TO_GO:
            refuse_removal_in_use(self._desk, self._resource.table, row_id, _NOT_BELOW[self._resource.table])
        self._desk.store.delete(self._resource.table, row_id)
        for child in _BELOW.get(self._resource.table, ()):
            for row in self._desk.store.under(child, row_id):
                self._desk.store.delete(child, row["id"])
        self._resource.removed(self._desk, record)

    def shown(self, record: Record) -> Record:
        """The record as the API answers it, with the links of its `_info`."""
        if self._resource.shown:
            return self._resource.shown(record)
        record = public(record)
        names = _CHILD_LINKS.get(self._resource.table)
        if not names:
            return record
        own = BASE + KINDS[self._resource.table].href.format(id=record["id"])
        links = {f"{name}_href": f"{own}/{name}" for name in names}
        return {**record, "_info": {**record["_info"], **links}}

    def _checked(self, given: Given, *, before: Record | None, creating: bool) -> Record:
        checking = Checking(self._desk.store, self._resource.shape, before, self._desk.is_technician)
        checking.values.update(self._parent_field())
        checking.take({name: value for name, value in given.items() if name not in self._parent_field()})
        record = checking.finish(creating=creating)
        return with_custom_fields(self._desk, self._resource.table, record)

    def _listing(self) -> Listing:
        self._require_parent()
        desk, resource = self._desk, self._resource
        return Listing(self._table(), resource.shape, desk.settings.switches, self._parent_id, self._sees())

    def _sees(self) -> Callable[[Record], bool] | None:
        """Which rows lists show; None for all, which lets them take short cuts."""
        is_narrow = self._desk.sees_only_its_own(self._resource.function, "inquire")
        hides = self._resource.hidden is not None and self._desk.settings.switches.project_tickets == "hidden"
        if not is_narrow and not hides:
            return None
        return lambda record: (
            not ((is_narrow and not self._desk.owns(self._owned(record))) or self._is_hidden(record))
        )

    def _is_hidden(self, record: Record) -> bool:
        return self._resource.hidden is not None and self._resource.hidden(self._desk, record)

    def _table(self) -> Table:
        if self._resource.rows and self._parent_id is not None:
            return self._resource.rows(self._desk, self._parent_id)
        return self._desk.store.table(self._resource.table)

    def _require(self, right: str, record: Record) -> None:
        self._desk.require(self._resource.function, right, self._resource.entry, self._owned(record))

    def _owned(self, record: Record) -> Record:
        """Whose owner counts: that of the parent, for a note of a ticket."""
        table = self._resource.parent_table
        parent = self._desk.store.get(table, self._parent_id) if table and self._parent_id else None
        return parent or record

    def _require_parent(self) -> None:
        table = self._resource.parent_table
        if table and self._parent_id is not None and self._desk.store.get(table, self._parent_id) is None:
            raise not_found(KINDS[table].journal, self._parent_id)

    def _parent_field(self) -> Record:
        """What the path alone says about a new record, such as its `agreementId` or `company`."""
        resource = self._resource
        path = KINDS[resource.table].parent
        if not resource.parent_table or not path or self._parent_id is None:
            return {}
        field, _, rest = path.partition("/")
        value = (
            self._desk.store.reference(resource.parent_table, self._parent_id) if rest else self._parent_id
        )
        return {field: value}


def _object(body: Any, shape: Shape) -> Given:
    if not isinstance(body, dict):
        raise Refused(400, "InvalidObject", f"{shape.resource}: the body must be an object")
    return body
