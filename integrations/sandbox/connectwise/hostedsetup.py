"""The rules of hosted tabs: which screen, whose page (ConnectWise REST 2026.4, /system/connectwisehostedsetups)."""

from integrations.sandbox.connectwise.answers import field_error, invalid, missing, not_found_in
from integrations.sandbox.connectwise.desk import Desk
from integrations.sandbox.connectwise.store import Record

RESOURCE = "connectWiseHostedSetup"


def finish_hosted_setup(desk: Desk, record: Record, before: Record | None) -> Record:
    errors = []
    if desk.store.get("hostedScreens", record["screenId"]) is None:
        message = f"Screen {record['screenId']} not found"
        errors.append(not_found_in(RESOURCE, "screenId", message))
    if not str(record["url"]).lower().startswith(("https://", "http://")):
        errors.append(field_error("InvalidField", "The field url must be an address.", RESOURCE, "url"))
    if record["type"] == "ToolbarButton" and not record.get("toolbarButtonText"):
        errors.append(missing(RESOURCE, "toolbarButtonText"))
    if errors:
        raise invalid(RESOURCE, errors)
    made = {"createdBy": desk.actor, "dateCreated": desk.now()} if before is None else {}
    return {"disabledFlag": False, **record, **made}
