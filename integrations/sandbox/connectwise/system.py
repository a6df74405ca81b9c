"""What the pretend ConnectWise says about itself: company info, system info (ConnectWise REST 2026.4)."""

from typing import Any

from integrations.sandbox.connectwise.settings import Settings, Switches
from integrations.sandbox.connectwise.store import Record

VERSION = "v2026.4"
API_VERSION = "2026.4"
OLDEST_CODEBASE = "v4_6_release"


def company_info(settings: Settings, company: str) -> dict[str, Any] | None:
    """None for an unknown company, which goes out as 200 with `null`. The login company is case-sensitive."""
    if company != settings.company:
        return None
    return {
        "CompanyName": "Cirrus Managed IT",
        "Codebase": f"{settings.switches.codebase}/",
        "VersionCode": VERSION,
        "VersionNumber": "v4.6.38842",
        "CompanyID": company,
        "IsCloud": True,
    }


def info() -> dict[str, Any]:
    licensed = ("ManagedServices", "Service", "Finance", "Procurement")
    return {
        "version": VERSION,
        "isCloud": True,
        "serverTimeZone": "Eastern Standard Time",
        "licenseBits": [{"name": name, "activeFlag": True} for name in licensed],
        "cloudRegion": "NA",
        "maxWorkFlowRecordsAllowed": 1000,
    }


def my_member(member: Record, switches: Switches) -> Record:
    """The caller's own row of `GET /system/myMembers`, with what limits him besides his role."""
    level = {"id": 1, "name": switches.member_level}
    role = {"id": 64, "name": switches.role_name}
    return {**member, "structureLevel": level, "securityRole": role}
