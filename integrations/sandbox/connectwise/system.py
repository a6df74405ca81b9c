"""What the pretend ConnectWise says about itself and its members: company info, rights, tokens, reports (2026.4)."""

from datetime import timedelta
from typing import Any

from integrations.sandbox.connectwise import members, role
from integrations.sandbox.connectwise.answers import Refused, forbidden, not_found
from integrations.sandbox.connectwise.calls import Call, page_of
from integrations.sandbox.connectwise.desk import Desk, wire_time
from integrations.sandbox.connectwise.settings import API_MEMBER, Settings
from integrations.sandbox.connectwise.store import Record

VERSION = "v2026.4"
API_VERSION = "2026.4"
OLDEST_CODEBASE = "v4_6_release"
TOKEN_LIFE = timedelta(hours=4)
_REPORTS = {"ConnectWiseHostedApiScreen": "hostedScreens", "Member": "members", "Company": "companies"}
_COLUMNS = {
    "hostedScreens": ("id", "screenId", "name"),
    "members": ("id", "identifier", "firstName", "lastName"),
    "companies": ("id", "identifier", "name"),
}
Result = tuple[int, Any]


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


def about(desk: Desk, call: Call) -> Result:
    licensed = ("ManagedServices", "Service", "Finance", "Procurement")
    return 200, {
        "version": VERSION,
        "isCloud": True,
        "serverTimeZone": "Eastern Standard Time",
        "licenseBits": [{"name": name, "activeFlag": True} for name in licensed],
        "cloudRegion": "NA",
        "maxWorkFlowRecordsAllowed": 1000,
    }


def my_security(desk: Desk, call: Call) -> Result:
    _may_look_at_itself(desk, "mySecurity")
    member = members.named(desk.store, desk.actor)
    rows = role.my_security(desk.settings.role, desk.store.reference("members", member["id"]))
    return 200, page_of(rows, call.wish)


def customize_items(desk: Desk, call: Call) -> Result:
    """What the customize lists of the role allow."""
    _may_look_at_itself(desk, "mySecurityCustomizeItem")
    return 200, page_of(role.customize_items(desk.settings.role), call.wish)


def my_member(desk: Desk, call: Call) -> Result:
    """Who is asking, with what limits him besides his role: the API member, or the person of a token or cookies."""
    _may_look_at_itself(desk, "myMember")
    member = members.named(desk.store, desk.actor)
    if desk.actor != API_MEMBER:
        return 200, member
    switches = desk.settings.switches
    level = {"id": 1, "name": switches.member_level}
    return 200, {
        **member,
        "structureLevel": level,
        "securityRole": {**member["securityRole"], "name": switches.role_name},
    }


def _may_look_at_itself(desk: Desk, resource: str) -> None:
    """Whether API members may ask is not certain, hence a switch."""
    told = desk.settings.switches.my_security
    if desk.actor == API_MEMBER and told != "on":
        raise forbidden() if told == "forbidden" else not_found(resource, 0)


def token(desk: Desk, call: Call) -> Result:
    """Short-lived keys that speak for a member; needs the header `x-cw-usertype: member`."""
    if call.request.headers.get("x-cw-usertype", "").lower() != "member":
        raise Refused(400, "InvalidArgument", "Send the header x-cw-usertype: member.")
    rows = desk.store.all("members")
    member = next((row for row in rows if row["identifier"].lower() == call.name.lower()), None)
    if member is None or member.get("inactiveFlag"):
        raise Refused(404, "NotFound", f"member {call.name} not found")
    public, private = members.token_keys(desk.settings, desk.store, member, desk.clock() + TOKEN_LIFE)
    return 200, {
        "publicKey": public,
        "privateKey": private,
        "expiration": wire_time(desk.clock() + TOKEN_LIFE),
    }


def done(desk: Desk, call: Call) -> Result:
    if desk.store.get("management", call.ids[0]) is None:
        raise not_found("management", call.ids[0])
    return 200, {"success": True, "message": "Success"}


def reports(desk: Desk, call: Call) -> Result:
    return 200, page_of([{"name": name} for name in _REPORTS], call.wish)


def report(desk: Desk, call: Call) -> Result:
    table = _report(call.name)
    rows = page_of(list(desk.store.all(table)), call.wish)
    values = [[row.get(name) for name in _COLUMNS[table]] for row in rows]
    return 200, {"column_definitions": _definitions(table), "row_values": values}


def report_columns(desk: Desk, call: Call) -> Result:
    return 200, _definitions(_report(call.name))


def report_count(desk: Desk, call: Call) -> Result:
    return 200, {"count": len(desk.store.table(_report(call.name)).ids)}


def _report(name: str) -> str:
    for known, table in _REPORTS.items():
        if known.lower() == name.lower():
            return table
    raise Refused(404, "NotFound", f"report {name} not found")


def _definitions(table: str) -> list[Record]:
    return [
        {
            name: {
                "type": "Numeric" if name == "id" else "Text",
                "isNullable": False,
                "identityColumn": name == "id",
            }
        }
        for name in _COLUMNS[table]
    ]
