"""Every URL there is, asked by nobody, another partner, a viewer and staff: nobody finds a foreign row.

The list of routes is read from the resolver, so a new route without an entry here fails.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.apps import apps
from django.db import models
from django.test import Client as Browser
from django.urls import get_resolver

from alerts import drafts, labhistory, labresult
from alerts.models import (
    ClientAddress,
    Condition,
    DailyFigures,
    DropFilter,
    EventType,
    Expectation,
    GroupLead,
    GuidedSetup,
    Hold,
    MailSettings,
    MaintenanceWindow,
    MonthlyUsage,
    NoiseSettings,
    Notification,
    NotificationVersion,
    Replay,
    RuleDraft,
    SettingChange,
    Storm,
    Suppression,
    Swings,
    Ticket,
    TicketSettings,
    TicketTest,
    WebhookEndpoint,
)
from billing.models import (
    AgreementLink,
    AgreementReading,
    BackupStatistics,
    BilledLine,
    BillingMonth,
    BillingSettings,
    CrossReference,
    EvidencePack,
    MonthNumbers,
    PackLink,
    PushBatch,
    PushDay,
    PushItem,
    PushRun,
    Question,
    ReadingOrder,
    ReportRun,
    ReportSetup,
    ReportTick,
    ReportWindow,
    Service,
    SettingsHand,
    SynchronizeOrder,
    SynchronizeWindow,
    Usage,
)
from integrations.models import (
    BulkReprocess,
    CatchAllCompany,
    Choice,
    ChoiceList,
    CompanyLink,
    CompanySuggestion,
    Credentials,
    Delivery,
    Event,
    Following,
    HostedTab,
    InboundMessage,
    Lane,
    Reload,
    SavedSearch,
    TabTicket,
)
from portal import clock
from portal.models import (
    Account,
    ApiToken,
    Client,
    Disabling,
    Membership,
    Organization,
    Partner,
    Role,
    SignIn,
    StepRemark,
    Tries,
    User,
)
from tests import make

CANARY = "canary-of-northwind"
ROOMS = ("portal", "integrations", "billing", "alerts")
ANYBODY = {
    "healthz",
    "readyz",
    "favicon.ico",
    "accounts/login/",
    "accounts/login/passkey/",
    "accounts/signup/",
    "accounts/inactive/",
    "accounts/password/reset/",
    "accounts/password/reset/done/",
    "accounts/password/reset/key/done/",
    "accounts/logout/",
    "metrics",  # by token or network address: tests/integrations/test_metrics.py
    "api/schema/",
    "api/docs/",
    "api/docs/errors",
    "admin/login/",
    "admin/logout/",
    "admin/jsi18n/",
    "hooks/<str:token>/",  # for PSAs, by token and signature: tests/integrations/test_hooks.py
    "hooks/<str:token>/off/",
    "hosted/connectwise/<str:token>",  # inside the PSA, by its word: tests/flows/test_hosted_tab.py
    "hosted/connectwise/<str:token>/enter",
    "hosted/connectwise/<str:token>/panel",
    "hosted/connectwise/<str:token>/map",
    "shared/evidence/<str:token>",  # by signed link: tests/billing/test_evidence.py
    "shared/evidence/<str:token>/pdf",
    r"accounts/^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
}
"""Routes that show the same to everybody."""


FOR_STAFF = {
    "partners/<uuid:pk>/impersonate",
    "staff",
    "staff/incidents",
    "staff/incidents/<uuid:pk>",
    "staff/incidents/<uuid:pk>/progress",
    "staff/incidents/<uuid:pk>/do",
}


def routes(patterns: Any = None, prefix: str = "") -> Iterator[str]:
    for pattern in patterns if patterns is not None else get_resolver().url_patterns:
        route = prefix + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from routes(pattern.url_patterns, route)
        else:
            yield route


@dataclass
class Scene:
    """Northwind's things, each named with the canary, and people of both partners."""

    things: dict[type[models.Model], models.Model]
    people: dict[str, User]
    tokens: dict[str, str]
    browsers: dict[str, Browser] = field(default_factory=dict)


OBJECTS: dict[str, Callable[[Scene], str]] = {
    "api/v1/events/": lambda scene: str(scene.things[Event].pk),
    "api/v1/deliveries/": lambda scene: str(scene.things[Delivery].pk),
    "api/v1/company-links/": lambda scene: str(scene.things[Client].pk),
    "partnership/mapping/": lambda scene: str(scene.things[Credentials].pk),
    "api/v1/connections/": lambda scene: str(scene.things[Credentials].pk),
    "api/v1/clients/": lambda scene: str(scene.things[Client].pk),
    "api/v1/ticket-settings/": lambda scene: str(scene.things[Client].pk),
    "clients/": lambda scene: str(scene.things[Client].pk),
    "clients/accounts/": lambda scene: str(scene.things[Account].pk),
    "partnership/ticket-settings/<str:level>/": lambda scene: str(scene.things[Organization].pk),
    "connections/": lambda scene: str(scene.things[Credentials].pk),
    "events/": lambda scene: str(scene.things[Event].pk),
    "partners/": lambda scene: str(scene.things[Partner].pk),
    "partnership/team/": lambda scene: str(Membership.objects.get(user=scene.people["manager"]).pk),
    "accounts/sign-ins/": lambda scene: str(scene.things[SignIn].pk),
    "accounts/security/passkeys/": lambda scene: str(scene.things[Authenticator].pk),
    "partnership/tokens/": lambda scene: str(scene.things[ApiToken].pk),
    "events/searches/": lambda scene: str(scene.things[SavedSearch].pk),
    "staff/incidents/": lambda scene: str(scene.things[BulkReprocess].case),  # type: ignore[attr-defined]
    "events/bulk/": lambda scene: str(scene.things[BulkReprocess].pk),
    "api/v1/deliveries/bulk/": lambda scene: str(scene.things[BulkReprocess].pk),
    "deliveries/": lambda scene: str(scene.things[Delivery].pk),
    "partnership/notifications/": lambda scene: str(scene.things[Notification].pk),
    "partnership/billing/": lambda scene: str(scene.things[Organization].pk),
    "partnership/cross-references/": lambda scene: str(scene.things[Organization].pk),
    "billing/runs/": lambda scene: str(scene.things[PushRun].pk),
    "billing/reconciliation/": lambda scene: str(scene.things[MonthNumbers].pk),
    "billing/evidence/links/": lambda scene: str(scene.things[PackLink].pk),
    "billing/batches/": lambda scene: str(scene.things[PushBatch].pk),
    "api/v1/push-runs/": lambda scene: str(scene.things[PushRun].pk),
    "api/v1/billing-questions/": lambda scene: str(scene.things[Question].pk),
    "partnership/filters/": lambda scene: str(scene.things[DropFilter].pk),
    "partnership/replays/": lambda scene: str(scene.things[Replay].pk),
    "partnership/replays/drafts/": lambda scene: str(scene.things[RuleDraft].pk),
    "api/v1/replays/": lambda scene: str(scene.things[Replay].pk),
    "api/v1/rule-drafts/": lambda scene: str(scene.things[RuleDraft].pk),
    "partnership/windows/": lambda scene: str(scene.things[MaintenanceWindow].pk),
    "partnership/webhooks/": lambda scene: str(scene.things[WebhookEndpoint].pk),
    "partnership/expectations/": lambda scene: str(scene.things[Expectation].pk),
    "api/v1/expectations/": lambda scene: str(scene.things[Expectation].pk),
    "api/v1/saved-searches/": lambda scene: str(scene.things[SavedSearch].pk),
    "api/v1/team/": lambda scene: str(scene.things[Membership].pk),
    "api/v1/tokens/": lambda scene: str(scene.things[ApiToken].pk),
    "api/v1/webhooks/": lambda scene: str(scene.things[WebhookEndpoint].pk),
    "api/v1/conditions/": lambda scene: str(scene.things[Condition].pk),
    "api/v1/tickets/": lambda scene: str(scene.things[Ticket].pk),
    "api/v1/organizations/": lambda scene: str(scene.things[Organization].pk),
    "api/v1/partners/": lambda scene: str(scene.things[Partner].pk),
    "api/v1/notifications/": lambda scene: str(scene.things[Notification].pk),
    "api/v1/drop-filters/": lambda scene: str(scene.things[DropFilter].pk),
    "api/v1/maintenance-windows/": lambda scene: str(scene.things[MaintenanceWindow].pk),
    "partnership/guide/": lambda scene: str(scene.things[Credentials].pk),
    "partnership/setup/": lambda scene: str(scene.things[Organization].pk),
    "partnership/credentials/<str:level>/": lambda scene: str(scene.things[Organization].pk),
}
"""What a route's `<uuid:pk>` is: the longest prefix decides."""


def address(route: str, scene: Scene) -> str:
    """The route with Northwind's ids in it."""
    if "<" not in route:
        return f"/{route}"
    prefixes = [prefix for prefix in OBJECTS if route.startswith(prefix)]
    if not prefixes:
        pytest.fail(f"“{route}” is new: say in OBJECTS of this test what its id is.")
    pk = OBJECTS[max(prefixes, key=len)](scene)
    return "/" + route.replace("<str:level>", "organization").replace("<uuid:pk>", pk).replace("<int:pk>", pk)


def ours() -> list[str]:
    return [route for route in routes() if route not in ANYBODY and not route.startswith("admin/")]


def admin_lists() -> list[str]:
    """Changelists, add and change pages of our own models; `<path:object_id>` is filled per model."""
    return [
        f"admin/{model._meta.app_label}/{model._meta.model_name}/"
        for model in apps.get_models()
        if model._meta.app_label in ROOMS
    ]


@pytest.fixture
def scene(db: None, settings: Any) -> Scene:
    make.catalogues()
    northwind, rival = make.partner("Northwind"), make.partner("Rival")
    things: dict[type[models.Model], models.Model] = {}

    def add(model: type[models.Model], **fields: Any) -> Any:
        names = {field.name for field in model._meta.get_fields()}
        partner = {"partner": northwind} if "partner" in names else {}
        things[model] = model._default_manager.create(**{**partner, **fields})
        return things[model]

    organization = add(Organization, name=CANARY)
    client = add(Client, organization=organization, name=CANARY, number=19652)
    account = add(Account, client=client, key=CANARY)
    credentials = add(
        Credentials, organization=organization, site_url=f"https://{CANARY}.example", public_key=CANARY
    )
    lane = add(Lane, credentials=credentials, breaker="unreachable", breaker_text=CANARY)
    choice = add(Choice, credentials=credentials, kind="product", psa_id="1", name=CANARY)
    add(ChoiceList, credentials=credentials, kind="product", trouble=CANARY)
    told = {"what": "gone", "kind": "product", "name": CANARY, "before": ""}
    add(Reload, credentials=credentials, state="partly", error_text=CANARY, diff=[told])
    add(
        Following,
        credentials=credentials,
        is_enabled=True,
        token_digest=CANARY,
        secret={"id": "", "token": CANARY, "keys": [CANARY]},
        problem=CANARY,
    )
    add(
        HostedTab,
        credentials=credentials,
        is_enabled=True,
        token_digest=CANARY,
        secret={"id": "", "token": CANARY},
        problem=CANARY,
        shown_to=CANARY,
    )
    add(TabTicket, tab=things[HostedTab], until=clock.now())
    add(InboundMessage, credentials=credentials, source_id=CANARY, record="ticket", record_id="1")
    add(CompanyLink, client=client, credentials=credentials, psa_company_id="250", psa_company_name=CANARY)
    add(CatchAllCompany, credentials=credentials, psa_company_id="250", psa_company_name=CANARY)
    add(
        CompanySuggestion,
        client=client,
        credentials=credentials,
        client_name=CANARY,
        psa_company_id="250",
        psa_company_name=CANARY,
        score=96,
        reason="same name",
    )
    event = add(
        Event,
        client=client,
        scope=northwind.pk,
        source=CANARY,
        source_id=CANARY,
        body_hash="",
        type="backup.failed",
        severity="error",
        action="trigger",
        summary=CANARY,
        client_reference=CANARY,
        occurred_at=clock.now(),
    )
    delivery = add(
        Delivery,
        event=event,
        client=client,
        lane=lane,
        action="ticket",
        subject=f"ticket:{clock.new_id()}",
        status="failed",
        error_text=CANARY,
        notification_name=CANARY,
    )
    condition = add(Condition, client=client, key=CANARY, state="failing", summary=CANARY, since=clock.now())
    add(
        Ticket,
        condition=condition,
        credentials=credentials,
        generation=1,
        external_ref=CANARY,
        summary=CANARY,
    )
    rule = add(Notification, name=CANARY, action="ticket")
    add(NotificationVersion, notification_id=rule.pk, version=1, document={"name": CANARY}, saved_by=CANARY)
    add(DropFilter, name=CANARY, reason=CANARY, phrases=[CANARY], client=client)
    today = clock.now().date()
    add(MaintenanceWindow, name=CANARY, first_on=today, starts_at="00:00", ends_at="23:59", client=client)
    add(NoiseSettings, storm_client=client, durations={CANARY: 5})
    storm = add(Storm, client=client, home=client)
    held = add(Condition, client=client, key=f"{CANARY}:held", state="failing", since=clock.now())
    add(Hold, condition=held, kind="storm", storm=storm, event=event, text=CANARY, rule_name=CANARY)
    add(GroupLead, client=client, notification_id=rule.pk, value=CANARY, condition=condition)
    add(Swings, condition=condition)
    add(Suppression, event=event, kind="filter", rule_id=things[DropFilter].pk, rule_name=CANARY)
    add(WebhookEndpoint, name=CANARY, url=f"https://{CANARY}.example/", secret_hint="test")
    add(MailSettings, address=f"{CANARY}@a.example", external_address=f"{CANARY}@b.example")
    document = drafts.document_of(labhistory.rules_today(northwind))
    draft = add(RuleDraft, name=CANARY, document=document, origin=document, created_by=CANARY)
    result = labresult.of_span(northwind, clock.now() - timedelta(days=7), clock.now())
    add(
        Replay,
        since=clock.now() - timedelta(days=7),
        until=clock.now(),
        draft=draft,
        draft_name=CANARY,
        state="done",
        result=result,
        finished_at=clock.now(),
    )
    add(Expectation, client=client, account=account, every_hours=24)
    wanted = {"text": CANARY, "conditions": []}
    add(BulkReprocess, wanted=wanted, asked_by=CANARY, case=clock.new_id(), reason=CANARY)
    add(TicketSettings, client=client, summary_template=f"{CANARY} {{summary}}")
    add(
        SettingChange,
        level_id=client.pk,
        level_name=CANARY,
        field="summary_template",
        new={"value": CANARY},
        change=clock.new_id(),
        changed_by=CANARY,
    )
    add(ClientAddress, client=client, city=CANARY)
    add(DailyFigures, day=clock.now().date(), outcomes={CANARY: 1})
    add(MonthlyUsage, service=Service.objects.first(), month=clock.now().date().replace(day=1), quantity=1)
    add(GuidedSetup, credentials=credentials, preview_text=CANARY, begun_by=CANARY)
    add(TicketTest, client=client, credentials=credentials, external_ref=CANARY)
    add(Disabling, client=client, reason=CANARY)
    add(StepRemark, place=CANARY, step=CANARY, text=CANARY, said_by=CANARY)
    service = Service.objects.first()
    add(CrossReference, service=service, organization=organization, product=choice)
    add(AgreementLink, client=client, credentials=credentials, agreement=choice)
    add(
        Usage,
        client=client,
        account=account,
        service=service,
        measured_on=clock.now().date(),
        quantity=1,
        source=CANARY,
    )
    add(SynchronizeWindow, client=client)
    run = add(
        PushRun,
        client=client,
        delivery=delivery,
        credentials=credentials,
        agreement_id="1",
        agreement_name=CANARY,
    )
    add(PushItem, run=run, service=service, text=CANARY)
    add(
        BackupStatistics,
        client=client,
        account=account,
        measured_on=clock.now().date(),
        successful_jobs=1,
        failed_jobs=0,
        serial_number=CANARY,
        source=CANARY,
    )
    add(ReportWindow, client=client)
    add(
        ReportRun,
        client=client,
        delivery=delivery,
        credentials=credentials,
        month=clock.now().date().replace(day=1),
        broken=CANARY,
    )
    add(ReportSetup, credentials=credentials, lines=[{"name": CANARY}], error_text=CANARY)
    add(ReportTick, credentials=credentials, line=CANARY, ticked_as=CANARY)
    batch = add(PushBatch, cause=CANARY)
    add(SynchronizeOrder, delivery=delivery, batch=batch)
    add(SettingsHand, level_id=client.pk, service=CANARY, person=make.user(northwind))
    add(PushDay, client=client, due_on=clock.now().date())
    add(BillingSettings, organization=organization, description_template=CANARY)
    add(
        Question,
        client=client,
        credentials=credentials,
        service=service,
        agreement_id="1",
        kind="jump",
        text=CANARY,
        current=1,
        proposed=9,
    )
    month = clock.now().date().replace(day=1)
    zeros = {"billable": 0, "pushed": 0, "included": 0, "units_at_risk": 0}
    add(BillingMonth, month=month)
    add(MonthNumbers, client=client, service=service, month=month, place=CANARY, unread=CANARY, **zeros)
    add(AgreementReading, credentials=credentials, agreement_id="1", month=month, trouble=CANARY)
    add(ReadingOrder, month=month, asked_as=CANARY, finished_at=clock.now())
    told = {"name": CANARY, "number": 19652, "managed_id": "EFS-19652"}
    pack = {"version": 1, "month": f"{month:%Y-%m}", "client": told, "partner": CANARY, "time_zone": "UTC"}
    add(EvidencePack, client=client, month=month, facts={**pack, "services": []}, digest="0" * 64)
    add(PackLink, pack=things[EvidencePack], made_as=CANARY, expires_at=clock.now())
    add(BilledLine, client=client, credentials=credentials, service=service, agreement_id="1", quantity=1)
    things[Partner] = northwind
    Partner.objects.filter(pk=northwind.pk).update(name=CANARY)
    Event.objects.create(
        scope=clock.NIL_UUID,
        source=CANARY,
        source_id="parked",
        body_hash="",
        state="parked",
        type="x",
        severity="error",
        action="trigger",
        summary=CANARY,
        client_reference=CANARY,
        occurred_at=clock.now(),
    )
    people = {
        "manager": make.user(northwind, email="manager@a.example"),
        "viewer": make.user(northwind, role=Role.VIEWER, email="viewer@a.example"),
        "rival": make.user(rival, email="rival@b.example"),
        "nobody's": make.user(None, email="nobody@c.example"),
        "staff": make.user(None, email="staff@vendor.example", is_staff=True, is_superuser=True),
    }
    add(SavedSearch, owner=people["manager"], name=CANARY, wanted=wanted, is_shared=True)
    add(SignIn, user=people["manager"], browser=CANARY)
    passkey = {"name": CANARY, "credential": {}}
    add(Authenticator, user=people["manager"], type="webauthn", data=passkey)
    make.token(northwind)
    things[ApiToken] = ApiToken.objects.get()
    things[Membership] = Membership.objects.get(user=people["viewer"])
    tokens = {
        "owner": make.token(northwind, by=people["manager"]),
        "rival": make.token(rival, by=people["rival"]),
    }
    return Scene(things, people, tokens)


def browser(scene: Scene, who: str) -> Browser:
    if who not in scene.browsers:
        scene.browsers[who] = caller = Browser(raise_request_exception=True)
        if who != "anonymous":
            caller.force_login(
                scene.people[who], backend="allauth.account.auth_backends.AuthenticationBackend"
            )
    return scene.browsers[who]


def call(scene: Scene, who: str, method: str, url: str) -> Any:
    if url.startswith("/api/v1/"):
        headers = {"Authorization": f"Bearer {scene.tokens[who]}"} if who in scene.tokens else {}
        body = json.dumps({"ids": [str(scene.things[Delivery].pk)], "name": "taken over"})
        more = {} if method == "get" else {"data": body, "content_type": "application/json"}
        return getattr(Browser(), method)(url, headers=headers, **more)
    return getattr(browser(scene, who), method)(url)


def content_of(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def snapshot() -> dict[str, list[Any]]:
    """All rows of our rooms, but for signs of life that reading leaves behind."""
    left_out = {ApiToken, SignIn, Tries, User}
    return {
        model._meta.label: list(model._base_manager.order_by("pk").values())
        for model in apps.get_models()
        if model._meta.app_label in ROOMS and model not in left_out
    }


def test_routes_were_found(scene: Scene) -> None:
    assert len(ours()) > 35
    assert len(admin_lists()) >= 20


@pytest.mark.parametrize("method", ["get", "post", "patch", "delete"])
def test_nobody_gets_anything_anywhere(scene: Scene, method: str) -> None:
    before = snapshot()
    for route in ours():
        answer = call(scene, "anonymous", method, address(route, scene))
        assert answer.status_code in {302, 401, 403, 405}, (route, answer.status_code)
        assert CANARY.encode() not in content_of(answer), route
    assert snapshot() == before


@pytest.mark.parametrize("who", ["rival", "nobody's"])
@pytest.mark.parametrize("method", ["get", "post", "patch", "delete"])
def test_another_partner_finds_and_changes_nothing(scene: Scene, method: str, who: str) -> None:
    before = snapshot()
    for route in ours():
        url = address(route, scene)
        answer = call(scene, who, method, url)
        assert CANARY.encode() not in content_of(answer), route
        assert answer.status_code < 500, (route, answer.status_code)
        if "<" in route:
            assert answer.status_code in {404, 405, 401}, (route, answer.status_code)
    after = snapshot()
    for label, rows in before.items():
        known = {row.get("id", row.get("name")): row for row in after[label]}
        for row in rows:
            assert known.get(row.get("id", row.get("name"))) == row, label


def test_a_viewer_sees_and_changes_nothing(scene: Scene) -> None:
    before = snapshot()
    for route in ours():
        if route in FOR_STAFF:
            assert call(scene, "viewer", "get", address(route, scene)).status_code == 404
            assert call(scene, "viewer", "post", address(route, scene)).status_code == 404
        elif not route.startswith(("api/v1/", "accounts/")):
            assert call(scene, "viewer", "get", address(route, scene)).status_code in {200, 302, 403, 405}, (
                route
            )
            assert call(scene, "viewer", "post", address(route, scene)).status_code in {302, 403, 405}, route
    assert snapshot() == before


@pytest.mark.parametrize("who", ["anonymous", "rival", "viewer", "manager"])
def test_only_staff_come_into_the_admin(scene: Scene, who: str) -> None:
    caller = browser(scene, who)
    for route in [*admin_lists(), "admin/"]:
        answer = caller.get(f"/{route}")
        assert (answer.status_code, "login" in answer["Location"]) == (302, True), route


def test_staff_see_every_admin_page(scene: Scene) -> None:
    caller = browser(scene, "staff")
    for model in apps.get_models():
        if model._meta.app_label not in ROOMS:
            continue
        base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        assert caller.get(base).status_code == 200, base
        if model in scene.things:
            page = caller.get(f"{base}{scene.things[model].pk}/change/")
            assert page.status_code == 200, base
    assert EventType.objects.exists()
    assert Membership.objects.exists()
