"""Our tab on ConnectWise's companies: registered, and who looks at it (asked by the adapter).

The frame around the tab hands a member's `memberId` and `memberHash` to us; as cookies they sign in as that member.
Facts and their sources: docs/psa/connectwise.md, "Tab in ConnectWise".
"""

from __future__ import annotations

import re
from typing import Any

from integrations.psa.connectwise import conditions
from integrations.psa.connectwise.rest import VERSION, Rest, Row, number, text_of
from integrations.psa.errors import NotPermitted, Rejected, SignInRefused
from integrations.psa.plan import Finding, Plan, PlanItem, Request
from integrations.psa.port import SignIn, TabClaim, TabViewer
from integrations.psa.transport import Transport
from integrations.psa.wanted import WantedTab

PATH = "/system/connectwisehostedsetups"
SCREENS = "/system/connectWiseHostedScreens"
COMPANY_SCREEN = "company"
RECORD = "tab"
NAME_LENGTH = 50
VIEWER_DEADLINE = 6.0
"""Somebody looks at an empty tab, and one of few threads waits."""

_MEMBER = re.compile(r"[A-Za-z0-9._@+-]{1,100}")
_PROOF = re.compile(r"[A-Za-z0-9._~+/=|:-]{8,1000}")
_NOT_CONFIRMED = "ConnectWise does not confirm who looks at this tab."
_RELOAD = "Reload the page in ConnectWise. If that does not help, sign out there and in again."


class Tabs:
    def __init__(self, rest: Rest, sign_in: SignIn, transport: Transport) -> None:
        self._rest = rest
        self._sign_in = sign_in
        self._transport = transport

    # --- Registering --------------------------------------------------------------------------------------------------

    def plan(self, wanted: WantedTab) -> Plan:
        """One read, two when it is to be made. It is taken away by switching it off, which needs no right to delete."""
        rows = self._rest.all(PATH)
        ours = [row for row in rows if text_of(row, "url").startswith(wanted.prefix)]
        ours.sort(key=lambda row: number(text_of(row, "id")))
        kept = ours[:1] if wanted.state == "present" else []
        items = [off_item(row) for row in ours if row not in kept and row.get("disabledFlag") is not True]
        findings: tuple[Finding, ...] = ()
        if wanted.state == "present" and not kept:
            screen = self._screen()
            findings = () if screen else (_no_screen(),)
            items += [self._create_item(wanted, screen)] if screen else []
        items += [item for row in kept if (item := repair_item(row, wanted))]
        return Plan(
            subject=wanted.name,
            items=tuple(items),
            unchanged=() if items or findings else (RECORD,),
            findings=findings,
            found={"id": text_of(kept[0], "id")} if kept else {},
        )

    def _screen(self) -> int:
        """The number of the company screen, 0 when ConnectWise shows none."""
        rows = self._rest.all(SCREENS, conditions=conditions.equals("screenId", COMPANY_SCREEN))
        found = [row for row in rows if text_of(row, "screenId").casefold() == COMPANY_SCREEN]
        return number(text_of(found[0], "id")) if found else 0

    def _create_item(self, wanted: WantedTab, screen: int) -> PlanItem:
        fields = {**_fields(wanted), "type": "Tab", "screenId": screen}
        client_id = {"clientId": self._sign_in.client_id} if self._sign_in.client_id else {}
        return PlanItem(
            key=RECORD,
            action="create",
            record=RECORD,
            record_id=None,
            before={},
            after=fields,
            reason="ConnectWise does not show the tab yet.",
            request=Request(method="POST", path=PATH, body={**fields, **client_id}),
        )

    # --- Who looks at it ----------------------------------------------------------------------------------------------

    def viewer(self, claim: TabClaim) -> TabViewer:
        """Two reads at the stored site, signed in as the member and not as ourselves."""
        if claim.login_company.casefold() != self._sign_in.login_company.casefold():
            raise Rejected("The tab is shown by a ConnectWise that is not the one of this connection.")
        if not _MEMBER.fullmatch(claim.member) or not _PROOF.fullmatch(claim.proof):
            raise Rejected(_NOT_CONFIRMED, advice=_RELOAD)
        company_id = number(claim.company_id, "company")
        try:
            as_member = self._as_member(claim)
            who = as_member.get("/system/myMembers")
            if text_of(who, "identifier").casefold() != claim.member.casefold():
                raise Rejected(_NOT_CONFIRMED, advice=_RELOAD)
            if who.get("inactiveFlag") is True:
                raise Rejected("This member is inactive in ConnectWise.")
            company = as_member.get(f"/company/companies/{company_id}", fields="id,identifier,name")
        except SignInRefused as error:
            raise Rejected(_NOT_CONFIRMED, advice=_RELOAD, status=error.status) from None
        except NotPermitted as error:
            raise Rejected("ConnectWise does not show you this company.", status=error.status) from None
        if text_of(company, "id") != str(company_id):
            raise Rejected("ConnectWise answered with another company.")
        return TabViewer(
            member=text_of(who, "identifier"),
            email=text_of(who, "officeEmail"),
            company_id=str(company_id),
            company_name=text_of(company, "name"),
        )

    def _as_member(self, claim: TabClaim) -> Rest:
        """Without our key: else ConnectWise would answer about us."""
        crumbs = {
            "companyName": self._sign_in.login_company,
            "memberId": claim.member,
            "memberHash": claim.proof,
            "memberContext": "web",
        }
        headers = {
            "Accept": f"application/vnd.connectwise.com+json; version={VERSION}",
            "Cookie": "; ".join(f"{name}={value}" for name, value in crumbs.items()),
            **({"clientId": self._sign_in.client_id} if self._sign_in.client_id else {}),
        }
        transport = Transport(
            self._rest.site,
            shared=self._transport.shared,
            headers=headers,
            secrets=(claim.proof,),
            deadline=VIEWER_DEADLINE,
        )
        return Rest(self._sign_in, transport, None)


def _fields(wanted: WantedTab) -> dict[str, Any]:
    return {
        "description": wanted.name[:NAME_LENGTH],
        "url": wanted.url,
        "origin": wanted.origin,
        "disabledFlag": False,
    }


def repair_item(row: Row, wanted: WantedTab) -> PlanItem | None:
    """A flag that is left out of an answer is false. How the tab is called is the partner's own affair."""
    after = {
        name: value
        for name, value in _fields(wanted).items()
        if name != "description"
        and (row.get(name, False) if name == "disabledFlag" else text_of(row, name)) != value
    }
    return _changed(row, after, "It was switched off, or leads elsewhere.") if after else None


def off_item(row: Row) -> PlanItem:
    return _changed(row, {"disabledFlag": True}, "The tab is not wanted (any more, or twice).")


def _changed(row: Row, after: dict[str, Any], reason: str) -> PlanItem:
    row_id = text_of(row, "id")
    return PlanItem(
        key=f"{RECORD} {row_id}",
        action="update",
        record=RECORD,
        record_id=row_id,
        before={name: row.get(name) for name in after},
        after=after,
        reason=reason,
        request=Request(
            method="PATCH",
            path=f"{PATH}/{number(row_id)}",
            body=[{"op": "replace", "path": name, "value": value} for name, value in after.items()],
        ),
    )


def _no_screen() -> Finding:
    return Finding(
        key=RECORD,
        code="no_screen",
        text="ConnectWise names no company screen that could have a tab.",
        advice="Look at System > Setup Tables > Manage Hosted API.",
    )
