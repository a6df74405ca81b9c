"""Cross-references of a managed devices integration: what they must say besides their fields' kinds.

That an agreement type or a configuration type is required stands in the vendor's field descriptions; whether two lines
may say the same does not, so they may.
"""

from integrations.sandbox.connectwise.answers import invalid, missing
from integrations.sandbox.connectwise.desk import Desk
from integrations.sandbox.connectwise.store import Record

RESOURCE = "managedDevicesIntegrationCrossReference"


def finish_cross_reference(desk: Desk, record: Record, before: Record | None) -> Record:
    if not record.get("agreementType") and not record.get("configurationType"):
        raise invalid(RESOURCE, [missing(RESOURCE, "agreementType or configurationType")])
    return {"inactiveFlag": False, **record}
