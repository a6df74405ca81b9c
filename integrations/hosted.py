"""Our tab inside a PSA: registered, and who may see what in it (asked by hostedviews).

Nothing that the browser says is believed. The PSA of the stored site is asked, as the member, who he is and whether he
may see the company; what he then gets is a ticket for that company in that tab, and no more: it is good for one look
within ten minutes, and the next one comes with that look. Before every answer the tab, the connection and the mapping
are looked up again. Mapping asks the PSA anew.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet

from integrations import companies, connections, effective, suggestions
from integrations.models import CompanyLink, CompanySuggestion, Credentials, HostedTab, TabTicket
from integrations.models.connections import Origin, Standing
from integrations.psa.errors import Misconfigured, PsaError
from integrations.psa.kinds import ABILITIES
from integrations.psa.plan import Plan
from integrations.psa.port import TabClaim, TabViewer
from integrations.psa.site import ui_origin
from integrations.psa.wanted import WantedTab
from portal import audit, clock
from portal.encryption import DecryptionFailed
from portal.models import Client, Membership, Role

logger = logging.getLogger(__name__)

LIFE = timedelta(minutes=10)
REQUESTS_A_MINUTE = 120
"""Of one tab, by all who look at it."""
MOST_CLIENTS = 300
MOST_SHOWN = 10
WHERE = "/hosted/connectwise/"
# The PSA is asked while somebody waits: one thread of a web process at most, so that the portal stays quick.
_seat = threading.BoundedSemaphore(1)
_signer = Signer(salt="integrations.hosted")


class Refused(Exception):
    """Why a tab stays empty. `again_in` (seconds) when asking again soon may help; `is_over` when the ticket is."""

    def __init__(
        self, status: int, text: str, advice: str = "", *, again_in: int = 0, is_over: bool = False
    ) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.advice = advice
        self.again_in = again_in
        self.is_over = is_over


@dataclass(frozen=True, kw_only=True)
class Viewer:
    """Who looks at which company, as the PSA confirmed it. Of one tab, for a while; a look spends `once`."""

    tab: str
    version: int
    until: int
    once: str
    member: str
    email: str
    company_id: str
    company_name: str


# --- Registering -----------------------------------------------------------------------------------------------------


def is_offered(credentials: Credentials) -> bool:
    """Not for credentials that are prepared or were replaced: their tab answers nobody."""
    found = ABILITIES.get(credentials.kind)
    return found is not None and found.hosted_tab and credentials.standing == Standing.CURRENT


def left_by(replaced: Credentials | None) -> bool:
    """Whether a replaced connection's PSA still shows a tab, which answers nobody any more."""
    rows = HostedTab.objects.filter(credentials=replaced)
    return replaced is not None and rows.exclude(registration=HostedTab.Registration.NONE).exists()


def tab_of(credentials: Credentials) -> HostedTab | None:
    row: HostedTab | None = HostedTab.objects.filter(credentials=credentials).defer("secret").first()
    return row


def prepare(credentials: Credentials) -> None:
    """A tab to be registered has an address. One that does not answer gets a new one: whoever knew the old one is out.

    Harmless to repeat, and writes nothing at the PSA.
    """
    with transaction.atomic():
        rows = HostedTab.objects.select_for_update().filter(credentials=credentials).defer("secret")
        row: Any = rows.first() or HostedTab(partner_id=credentials.partner_id, credentials=credentials)
        if row.is_enabled:
            return
        token = f"{_mark(row)}{secrets.token_urlsafe(32)}"
        row.secret, row.token_digest = {"id": str(row.pk), "token": token}, digest_of(token)
        row.save()


def preview(credentials: Credentials, state: str) -> Plan:
    """What would be written at the PSA for the tab to be `present` or `absent`. Two reads at most. Raises PsaError."""
    row = HostedTab.objects.defer("secret").get(credentials=credentials)
    with connections.psa_for(credentials) as psa:
        return psa.plan_tab(wanted_tab(row, state))


def register(credentials: Credentials, digest: str) -> Plan:
    """Write what was shown. From before the first byte the tab counts as perhaps registered. Raises PsaError, also when
    the plan is not the one that was shown. Harmless to repeat: planning finds what is there already."""
    row = HostedTab.objects.defer("secret").get(credentials=credentials)
    require_public_address()
    with connections.psa_for(credentials) as psa:
        plan = as_shown(psa.plan_tab(wanted_tab(row, "present")), digest)
        if plan.findings:
            raise Misconfigured(plan.findings[0].text, field="tab", advice=plan.findings[0].advice)
        intend(row)
        try:
            applied = psa.apply(plan)
        except PsaError as error:
            remember_problem(row, error)
            raise
    found = [item.record_id for item in applied.items if item.action == "create"]
    now = clock.now()
    HostedTab.objects.filter(pk=row.pk).update(
        registration=HostedTab.Registration.REGISTERED,
        registered_id=str(plan.found.get("id") or (found[0] if found else "")),
        registered_at=now,
        problem="",
    )
    return plan


def remove(credentials: Credentials, digest: str) -> Plan:
    """The tab answers nobody any more, from now on and whatever the PSA says; then the PSA is told. Raises PsaError."""
    row = HostedTab.objects.defer("secret").get(credentials=credentials)
    HostedTab.objects.filter(pk=row.pk).update(is_enabled=False)
    try:
        with connections.psa_for(credentials) as psa:
            plan = as_shown(psa.plan_tab(wanted_tab(row, "absent")), digest)
            psa.apply(plan)
    except PsaError as error:
        remember_problem(row, error)
        raise
    HostedTab.objects.filter(pk=row.pk, is_enabled=False).update(
        registration=HostedTab.Registration.NONE, registered_id="", registered_at=None, problem=""
    )
    return plan


def choose_mappers(credentials: Credentials, mappers: str) -> None:
    """Who may map a company from inside the PSA. Raises ValueError for a word that is none of the choices."""
    HostedTab.objects.filter(credentials=credentials).update(mappers=HostedTab.Mappers(mappers))


def wanted_tab(row: HostedTab, state: str) -> WantedTab:
    return WantedTab(
        name=settings.HOSTED_TAB_NAME,
        state="present" if state == "present" else "absent",
        url=address_of(row) if state == "present" else "",
        prefix=f"{settings.PORTAL_URL}{WHERE}{_mark(row)}",
        origin=origin_of(settings.PORTAL_URL),
    )


def as_shown(plan: Plan, digest: str) -> Plan:
    if plan.digest != digest:
        raise Misconfigured(
            "What would be written has changed since it was shown.", field="tab", advice="Look at it again."
        )
    return plan


def intend(row: HostedTab) -> None:
    """Before the first byte: the tab answers, and Test It looks for its right from now on."""
    credentials = row.credentials
    also = sorted({*credentials.also_used, "hosted_tab"})
    with transaction.atomic():
        HostedTab.objects.filter(pk=row.pk).update(is_enabled=True)
        HostedTab.objects.filter(pk=row.pk, registration=HostedTab.Registration.NONE).update(
            registration=HostedTab.Registration.ASKED
        )
        Credentials.objects.filter(pk=credentials.pk).update(also_used=also)


def remember_problem(row: HostedTab, error: PsaError) -> None:
    logger.warning("The tab of %s could not be settled: %s", row.credentials_id, error.text)
    HostedTab.objects.filter(pk=row.pk).update(problem=f"{error.text} {error.advice}".strip())


def require_public_address() -> None:
    """A PSA is opened by https, and shows nothing else inside; where the operator allows http, it is a test network."""
    if not settings.PORTAL_URL.startswith("https://") and not settings.PSA_ALLOW_HTTP:
        raise Misconfigured(
            "This portal has no https address that could be shown inside a PSA.",
            field="portal_url",
            advice="The operator has to set PORTAL_URL.",
        )


def address_of(row: HostedTab) -> str:
    """Raises Misconfigured when it cannot be read any more."""
    try:
        wrapped: Any = row.secret
    except DecryptionFailed:
        wrapped = None
    if not wrapped or wrapped["id"] != str(row.pk):
        raise Misconfigured(
            "The tab's address cannot be read any more.",
            field="tab",
            advice="Remove the tab and register it again.",
        )
    return f"{settings.PORTAL_URL}{WHERE}{wrapped['token']}"


def _mark(row: HostedTab) -> str:
    """What the addresses of one tab begin with, whatever its token is."""
    return f"{row.pk.hex[-12:]}-"


def digest_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


# --- The door --------------------------------------------------------------------------------------------------------


def find(token: str) -> HostedTab | None:
    """The tab of an address, when it answers."""
    rows = HostedTab.objects.filter(token_digest=digest_of(token), is_enabled=True, partner__is_active=True)
    rows = rows.select_related("partner", "credentials__lane").defer("secret", "credentials__secret")
    row: HostedTab | None = rows.first()
    return row if row is not None and is_offered(row.credentials) else None


def parents(tab: HostedTab) -> list[str]:
    """The origins that may show the tab: where people open the stored site, and the site itself."""
    site = tab.credentials.site_url
    return sorted({origin_of(ui_origin(site)), origin_of(site)})


def origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def count(tab: HostedTab) -> None:
    """One request more, over all web processes. Raises Refused beyond the minute's."""
    minute = int(clock.now().timestamp() // 60)
    rows = HostedTab.objects.filter(pk=tab.pk)
    this = rows.filter(minute=minute, taken__lt=REQUESTS_A_MINUTE)
    is_counted = this.update(taken=F("taken") + 1) or rows.exclude(minute=minute).update(
        minute=minute, taken=1
    )
    # Another process may have begun the minute between the two.
    if not is_counted and not this.update(taken=F("taken") + 1):
        raise Refused(
            429, "This tab is opened too often just now.", "It is tried again by itself.", again_in=20
        )


def enter(tab: HostedTab, claim: TabClaim) -> tuple[Viewer, str]:
    """Who that is, by the PSA's own word, and a ticket. Raises Refused."""
    confirmed = confirm(tab, claim)
    until = clock.now() + LIFE
    viewer = Viewer(
        tab=str(tab.pk),
        version=tab.credentials.version,
        until=int(until.timestamp()),
        once="",
        **asdict(confirmed),
    )
    TabTicket.objects.filter(tab=tab, until__lt=clock.now()).delete()
    HostedTab.objects.filter(pk=tab.pk).update(shown_at=clock.now(), shown_to=viewer.member[:100])
    return viewer, ticket_for(tab, viewer)


def ticket_for(tab: HostedTab, viewer: Viewer) -> str:
    """The next look, no longer than this one was granted for."""
    until = datetime.fromtimestamp(viewer.until, UTC)
    row = TabTicket.objects.create(partner_id=tab.partner_id, tab=tab, until=until)
    return _signer.sign_object(asdict(replace(viewer, once=str(row.pk))))


def confirm(tab: HostedTab, claim: TabClaim) -> TabViewer:
    """Asks the PSA of the stored site; the address that the browser names is not even looked at."""
    lane = tab.credentials.lane
    if lane.breaker:
        raise Refused(503, "ConnectWise cannot be reached just now.", "Open the tab again in some minutes.")
    if not _seat.acquire(blocking=False):
        raise Refused(503, "Others are being shown in.", "It is tried again by itself.", again_in=1)
    try:
        with connections.psa_for(tab.credentials) as psa:
            return psa.tab_viewer(claim)
    except PsaError as error:
        if error.is_permanent or error.needs_a_person:
            logger.info("A viewer of the tab %s is refused: %s", tab.pk, error.text)
            raise Refused(403, error.text, error.advice) from None
        raise Refused(
            503, f"ConnectWise does not answer: {error.text}", "Open the tab again later."
        ) from None
    except DecryptionFailed as error:
        raise Refused(503, str(error)) from None
    finally:
        _seat.release()


def admitted(tab: HostedTab, ticket: str) -> tuple[Viewer, str]:
    """Whom a ticket was given to, and the next one: each holds once. Raises Refused for one that is over, was used, or
    is of another tab or connection.
    """
    try:
        viewer = Viewer(**_signer.unsign_object(ticket))
    except (BadSignature, TypeError, ValueError):
        raise Refused(401, "It is not known who looks at this tab.", is_over=True) from None
    is_ours = viewer.tab == str(tab.pk) and viewer.version == tab.credentials.version
    if not is_ours or viewer.until <= clock.now().timestamp():
        raise Refused(401, "This view is over.", "It is opened again by itself.", is_over=True)
    if not TabTicket.objects.filter(pk=viewer.once, tab=tab).delete()[0]:
        logger.warning("A used ticket was shown again at the tab %s", tab.pk)
        raise Refused(401, "This view was looked at already.", "It is opened again by itself.", is_over=True)
    return viewer, ticket_for(tab, viewer)


# --- What is shown ---------------------------------------------------------------------------------------------------


def clients_of(tab: HostedTab, viewer: Viewer) -> list[Client]:
    """The clients that are this company, for whom this connection is in effect."""
    links = CompanyLink.objects.filter(
        credentials=tab.credentials, psa_company_id=viewer.company_id, client=OuterRef("pk")
    )
    return list(ours(tab).filter(Exists(links)).select_related("partner").order_by("name", "pk")[:MOST_SHOWN])


def ours(tab: HostedTab) -> QuerySet[Any]:
    return effective.clients_of(tab.credentials).filter(partner=tab.partner_id, is_active=True)


@dataclass(frozen=True)
class Choices:
    """Which clients a company may be: probable ones with the reason, then the unmapped ones by name."""

    likely: Sequence[CompanySuggestion]
    others: Sequence[Client]
    has_more: bool


def choices_for(tab: HostedTab, viewer: Viewer) -> Choices:
    standing = suggestions.standing(tab.credentials).filter(psa_company_id=viewer.company_id)
    likely = list(standing.filter(client__in=ours(tab)).select_related("client").order_by("-score", "pk")[:5])
    rows = unmapped(tab).exclude(pk__in=[row.client_id for row in likely]).order_by("name", "pk")
    others = list(rows.only("pk", "name", "number")[: MOST_CLIENTS + 1])
    return Choices(likely, others[:MOST_CLIENTS], len(others) > MOST_CLIENTS)


def unmapped(tab: HostedTab) -> QuerySet[Any]:
    links = CompanyLink.objects.filter(credentials=tab.credentials, client=OuterRef("pk"))
    return ours(tab).filter(~Exists(links))


def may_map(tab: HostedTab, email: str) -> bool:
    """By the address that the PSA names for the member; it is the partner's own PSA, and the partner chose this."""
    if tab.mappers != HostedTab.Mappers.MANAGERS or not email:
        return False
    return Membership.objects.filter(
        partner=tab.partner_id, role=Role.SENIOR_MANAGER, user__is_active=True, user__email__iexact=email
    ).exists()


def map_company(tab: HostedTab, claim: TabClaim, client_id: uuid.UUID) -> tuple[Viewer, str]:
    """The company is this client from now on. The PSA is asked anew: a ticket is not enough. Raises Refused."""
    viewer, ticket = enter(tab, claim)
    if not may_map(tab, viewer.email):
        raise Refused(403, "You may not map companies here.", "A Partner Senior Manager can, in the portal.")
    by = f"{viewer.member} ({viewer.email}) in ConnectWise"
    with transaction.atomic():
        Credentials.objects.select_for_update().only("pk").get(pk=tab.credentials_id)
        if CompanyLink.objects.filter(credentials=tab.credentials, psa_company_id=viewer.company_id).exists():
            raise Refused(409, "Somebody mapped this company meanwhile.", "Reload the page in ConnectWise.")
        client = unmapped(tab).filter(pk=client_id).first()
        if client is None:
            raise Refused(404, "There is no such client that still has to be mapped.", "Choose another one.")
        companies.link_company(
            client,
            tab.credentials,
            psa_company_id=viewer.company_id,
            name=viewer.company_name,
            by=by,
            origin=Origin.TAB,
        )
        audit.note(
            "map a company in the tab",
            actor=by,
            partner_id=tab.partner_id,
            target=f"{client} ({client.number})",
            details={
                "company_id": viewer.company_id,
                "company": viewer.company_name,
                "connection": str(tab.credentials_id),
            },
        )
    return viewer, ticket
