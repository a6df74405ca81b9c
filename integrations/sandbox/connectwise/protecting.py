"""What may not be changed or deleted any more: what was invoiced, what was posted, what others refer to."""

from integrations.sandbox.connectwise.answers import Refused, field_error, invalid
from integrations.sandbox.connectwise.desk import Desk
from integrations.sandbox.connectwise.shapes import Shape
from integrations.sandbox.connectwise.store import Record

INVOICED_UNTIL, PERIOD, POSTED = "_invoicedUntil", "_period", "_posted"


def refuse_change_of_addition(desk: Desk, record: Record, before: Record | None) -> None:
    """The product and the first day of what was invoiced stay."""
    if before is None or INVOICED_UNTIL not in before or not _protects(desk):
        return
    for name in ("product", "effectiveDate"):
        if record.get(name) != before.get(name):
            raise _invoiced("addition", name, before)


def refuse_removal_of_addition(desk: Desk, record: Record) -> None:
    if INVOICED_UNTIL in record and _protects(desk):
        raise _invoiced("addition", "id", record)


def refuse_change_of_invoice(desk: Desk, record: Record, before: Record | None) -> Record:
    if before is not None and POSTED in before and _protects(desk):
        raise _posted()
    return record


def refuse_removal_of_invoice(desk: Desk, record: Record) -> None:
    if POSTED in record and _protects(desk):
        raise _posted()


def refuse_removal_in_use(desk: Desk, table: str, row_id: int, shapes: dict[str, Shape]) -> None:
    """409 as long as some record refers to the row, or lies under it (developer guide: "record in use")."""
    for other, shape in shapes.items():
        names = [field.name for field in shape.fields.values() if field.table == table]
        for record in desk.store.all(other) if names else ():
            if any(_refers(record.get(name), row_id) for name in names):
                raise Refused(409, "Conflict", f"The record is in use by {shape.resource} {record['id']}.")


def _refers(value: object, row_id: int) -> bool:
    return isinstance(value, dict) and value.get("id") == row_id


def _protects(desk: Desk) -> bool:
    return desk.settings.switches.invoiced == "protect" and not desk.is_technician


def _invoiced(resource: str, field: str, record: Record) -> Refused:
    message = f"It has been invoiced until {record[INVOICED_UNTIL]}."
    return invalid(resource, [field_error("InvalidObject", message, resource, field)])


def _posted() -> Refused:
    message = "A posted invoice cannot be changed."
    return invalid("invoice", [field_error("InvalidObject", message, "invoice", "status")])
