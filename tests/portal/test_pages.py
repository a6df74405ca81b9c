"""Every page and button: who gets it, who is refused, and who learns that it does not exist."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import URLPattern, get_resolver, reverse

import alerts.urls
import billing.urls
import integrations.urls
from alerts import drafts, replays
from alerts.models import (
    Condition,
    DropFilter,
    Expectation,
    MaintenanceWindow,
    Notification,
    Replay,
    Ticket,
    WebhookEndpoint,
)
from billing.models import (
    EvidencePack,
    MonthNumbers,
    PackLink,
    PushBatch,
    PushItem,
    PushRun,
    Service,
    SynchronizeWindow,
)
from integrations import bulkreprocess
from integrations.eventsearch import EventFilter
from integrations.models import BulkReprocess, Delivery, Event
from portal import clients, clock, heartbeat
from portal.models import Account, Membership, Role, User
from portal.rest import CODES
from tests import make

pytestmark = pytest.mark.django_db


@dataclass
class Scene:
    """A partner with one of everything that pages show, another partner, and the people around."""

    world: make.World
    event: Event
    delivery: Delivery
    notification: Notification
    manager: User
    viewer: User
    stranger: User
    staff: User
    bulk: BulkReprocess
    made: dict[str, uuid.UUID]
    """What pages are about besides these: the id by the word that the tables use."""


def happened(world: make.World, *, summary: str = "Backup of SRV-FILE01 failed", **fields: Any) -> Event:
    """An event of the world's client, as intake would have stored it."""
    number = clock.new_id().hex
    values = {
        "partner": world.partner,
        "client": world.client,
        "scope": clock.NIL_UUID,
        "source": "backup",
        "source_id": number,
        "body_hash": "",
        "type": "backup.failed",
        "severity": "error",
        "action": "trigger",
        "client_reference": str(world.client.number),
        "condition_key": "backup:SRV-FILE01",
        "summary": summary,
        "data": {"device": "SRV-FILE01"},
        "occurred_at": clock.now(),
        "trace": [
            {"step": "notification", "name": "Tickets", "version": 1, "matched": True, "text": "matched"}
        ],
        **fields,
    }
    return Event.objects.create(**values)


def delivered(event: Event, world: make.World, *, status: str = "failed", **fields: Any) -> Delivery:
    condition, _ = Condition.objects.get_or_create(
        partner=event.partner,
        client=event.client,
        key=event.condition_key,
        defaults={
            "state": "failing",
            "severity": "error",
            "since": clock.now(),
            "wants_ticket": True,
            "summary": event.summary,
        },
    )
    values = {
        "partner": event.partner,
        "event": event,
        "client": event.client,
        "lane": world.credentials.lane,
        "action": "ticket",
        "subject": f"ticket:{condition.pk}",
        "notification_name": "Tickets",
        "status": status,
        "plan": {
            "items": [{"action": "create", "record": "ticket", "before": {}, "after": {"summary": "x"}}]
        },
        "exchanges": [{"method": "POST", "path": "/service/tickets", "status": 403, "seconds": 0.1}],
        **fields,
    }
    return Delivery.objects.create(**values)


def pushed(world: make.World) -> PushRun:
    run = PushRun.objects.create(
        partner=world.partner,
        client=world.client,
        credentials=world.credentials,
        agreement_id="401",
        digest="-",
    )
    service = Service.objects.get(key="online-backup-servers")
    PushItem.objects.create(
        partner=world.partner, run=run, service=service, before={"quantity": "3"}, after={"quantity": "4"}
    )
    SynchronizeWindow.objects.create(partner=world.partner, client=world.client, last_success_at=clock.now())
    return run


FACTS = {
    "version": 1,
    "month": "2026-01",
    "client": {"name": "Bakery Ott", "number": 19652, "managed_id": "EFS-19652"},
    "partner": "Northwind MSP",
    "time_zone": "UTC",
    "services": [],
    "backups": None,
    "tickets": None,
}


@pytest.fixture
def scene(world: make.World) -> Scene:
    event = happened(world)
    delivery = delivered(
        event, world, error_text="ConnectWise refused the ticket.", advice="Grant the right."
    )
    condition = Condition.objects.get(client=world.client)
    Ticket.objects.create(
        partner=world.partner,
        condition=condition,
        credentials=world.credentials,
        generation=1,
        external_ref="psap:1",
        state="open",
        psa_id="4471",
        number="4471",
        url="https://psa.example/4471",
    )
    account = Account.objects.create(partner=world.partner, client=world.client, key="SRV-FILE01")
    make.billing(world)
    theirs = {"partner": world.partner}
    made = {
        "account": account,
        "run": pushed(world),
        "numbers": MonthNumbers.objects.create(
            **theirs,
            client=world.client,
            service=Service.objects.get(key="online-backup-servers"),
            month=clock.now().date().replace(day=1),
            place="bakery ott\tservers",
            measured=4,
            billable=4,
            pushed=3,
            included=0,
            units_at_risk=1,
            steps=[
                {
                    "name": "pushed",
                    "difference": "-1",
                    "causes": [{"kind": "held", "amount": "-1", "text": "Asked.", "link": ["approvals", ""]}],
                }
            ],
            kinds=",held,",
            differs=True,
        ),
        "packlink": PackLink.objects.create(
            **theirs,
            pack=EvidencePack.objects.create(
                **theirs, client=world.client, month="2026-01-01", facts=FACTS, digest="0" * 64
            ),
            made_as="manager",
            expires_at=clock.now() + timedelta(days=7),
        ),
        "batch": PushBatch.objects.create(**theirs, cause="button"),
        "filter": DropFilter.objects.create(**theirs, name="Tests", reason="noise", phrases=["test"]),
        "draft": drafts.begin(theirs["partner"], "Errors only"),
        "replay": Replay.objects.create(
            **theirs,
            since=clock.now() - timedelta(days=7),
            until=clock.now(),
            state="done",
            result=replays.result_of(theirs["partner"], *replays.span_of(7)),
            finished_at=clock.now(),
        ),
        "window": MaintenanceWindow.objects.create(
            **theirs, name="Patching", first_on=clock.now().date(), starts_at="02:00", ends_at="03:00"
        ),
        "webhook": WebhookEndpoint.objects.create(
            **theirs, name="Chat", url="https://chat.example/", secret_hint="-"
        ),
        "expectation": Expectation.objects.create(
            **theirs, client=world.client, account=account, every_hours=24
        ),
    }
    other = make.partner("Tailspin IT")
    clients.add_client(other, name="Someone Else", number=30001)
    return Scene(
        world=world,
        event=event,
        delivery=delivery,
        notification=Notification.objects.get(partner=world.partner),
        manager=make.user(world.partner, email="manager@northwind.example"),
        viewer=make.user(world.partner, role=Role.VIEWER),
        stranger=make.user(other),
        staff=make.user(is_staff=True, is_superuser=True),
        made={name: row.pk for name, row in made.items()},
        bulk=bulkreprocess.begin(world.partner, EventFilter(text="SRV"), is_dry_run=True, by="manager"),
    )


# route -> the object in its address, and for buttons the answer a manager gets
PAGES: dict[str, str] = {
    "dashboard": "",
    "tickets": "",
    "conditions": "",
    "partners": "",
    "clients": "",
    "client": "client",
    "client_settings": "client",
    "client_mapping": "client",
    "client_agreement": "client",
    "client_report": "client",
    "client_activity": "client",
    "company_mapping": "",
    "mapping": "connection",
    "mapping_options": "connection",
    "mapping_inbox": "connection",
    "mapping_companies": "connection",
    "mapping_catch_all": "connection",
    "mapping_file": "connection",
    "mapping_export": "connection",
    "credentials": "",
    "credentials_of": "organization",
    "test_progress": "connection",
    "reload_progress": "connection",
    "options_of": "connection",
    "hosted_tab": "connection",
    "psa_references": "connection",
    "psa_references_progress": "connection",
    "change_connection": "connection",
    "connection_changed": "connection",
    "work_order": "connection",
    "work_order_text": "connection",
    "setup": "",
    "setup_of": "organization",
    "notifications": "",
    "event_log": "",
    "event_export": "",
    "parked_events": "",
    "bulk_reprocess": "bulk",
    "bulk_progress": "bulk",
    "event": "event",
    "status": "",
    "client_preview": "client",
    "billing_preview": "",
    "approvals": "",
    "push_runs": "",
    "push_run": "run",
    "usage": "",
    "reconciliation": "",
    "reconciliation_progress": "",
    "reconciliation_export": "",
    "reconciliation_row": "numbers",
    "client_evidence": "client",
    "client_evidence_pdf": "client",
    "billing_overview": "",
    "billing_settings": "organization",
    "cross_references": "",
    "cross_references_export": "",
    "cross_references_of": "organization",
    "event_types": "",
    "key_shapes": "",
    "rule_test": "",
    "notification_versions": "notification",
    "drop_filters": "",
    "drop_filter_eaten": "filter",
    "maintenance_windows": "",
    "replay_lab": "",
    "replay": "replay",
    "replay_progress": "replay",
    "rule_draft": "draft",
    "noise": "",
    "webhooks": "",
    "webhook_deliveries": "webhook",
    "mail_settings": "",
    "expectations": "",
    "held": "",
    "client_catch_up": "client",
    "account_settings": "account",
    "health": "",
    "charts": "",
    "guided_setup": "",
    "guided_setup_of": "connection",
    "guided_progress": "connection",
    "test_ticket_progress": "client",
    "settings_in_effect": "organization",
    "settings_reset": "organization",
    "client_settings_reset": "client",
}
MANAGER_PAGES: dict[str, str] = {
    "mapping_new_client": "connection",
    "notification_new": "",
    "notification": "notification",
    "notification_delete": "notification",
    "drop_filter_new": "",
    "drop_filter": "filter",
    "window_new": "",
    "draft_row": "draft",
    "window": "window",
    "webhook_new": "",
    "webhook": "webhook",
    "expectation_new": "",
}
BUTTONS: dict[str, str] = {
    "test_it": "connection",
    "guided_act": "connection",
    "reload_options": "connection",
    "change_following": "connection",
    "reprocess": "delivery",
    "reprocess_selected": "",
    "change_bulk": "bulk",
    "notification_preset": "",
    "notification_copy": "notification",
    "notification_switch": "notification",
    "synchronize": "client",
    "update_report": "client",
    "approve_report": "client",
    "verify_report_setup": "connection",
    "tick_report_setup": "connection",
    "client_unmap": "client",
    "client_accept_name": "client",
    "client_moved": "client",
    "mapping_selected": "connection",
    "mapping_apply": "connection",
    "mapping_suggest": "connection",
    "choose_agreement": "client",
    "billing_push_now": "",
    "decide_runs": "",
    "answer_questions": "",
    "undo_run": "run",
    "read_agreements": "",
    "calculate_month": "",
    "close_month": "",
    "share_evidence": "client",
    "revoke_evidence": "packlink",
    "undo_batch": "batch",
    "cross_references_import": "",
    "notification_move": "notification",
    "draft_new": "",
    "draft_delete": "draft",
    "draft_row_remove": "draft",
    "drop_filter_switch": "filter",
    "drop_filter_delete": "filter",
    "window_end": "window",
    "window_extend": "window",
    "window_delete": "window",
    "noise_preset": "",
    "webhook_rotate": "webhook",
    "webhook_delete": "webhook",
    "webhook_redeliver": "webhook",
    "expectation_switch": "expectation",
    "expectation_learn": "expectation",
    "client_address": "client",
    "client_disable": "client",
    "client_enable": "client",
    "client_test_ticket": "client",
    "settings_undo": "organization",
    "settings_preview": "organization",
}
SHOWN_ONCE = {"webhook_rotate", "settings_preview"}
"""Their answer is a page that cannot be opened again."""
AT_A_LEVEL = {
    "credentials_of",
    "billing_settings",
    "cross_references_of",
    "settings_in_effect",
    "settings_reset",
    "settings_undo",
    "settings_preview",
}
POSTED_PAGES = (
    "credentials_of",
    "client_mapping",
    "mapping",
    "mapping_catch_all",
    "mapping_file",
    "setup_of",
    "client_settings",
    "notification",
    "notification_new",
)
NO_WHOLE_PAGES = {
    "event_export",
    "cross_references_export",
    "reconciliation_progress",
    "psa_references_progress",
    "reconciliation_export",
    "client_evidence_pdf",
    "bulk_progress",
    "replay_progress",
    "test_progress",
    "work_order_text",
    "reload_progress",
    "guided_progress",
    "test_ticket_progress",
    "mapping_options",
    "mapping_export",
}
"""Parts that htmx fetches, and downloads."""
ABOUT_SOMETHING = {name: kind for name, kind in {**PAGES, **MANAGER_PAGES, **BUTTONS}.items() if kind}


def address(name: str, scene: Scene) -> str:
    objects = {
        "client": scene.world.client.pk,
        "organization": scene.world.organization.pk,
        "connection": scene.world.credentials.pk,
        "event": scene.event.pk,
        "bulk": scene.bulk.pk,
        "delivery": scene.delivery.pk,
        "notification": scene.notification.pk,
        **scene.made,
    }
    kind = {**PAGES, **MANAGER_PAGES, **BUTTONS}[name]
    if name in AT_A_LEVEL:
        return reverse(name, args=["organization", objects[kind]])
    return reverse(name, args=[objects[kind]] if kind else [])


def text_of(answer: Any) -> str:
    """The whole answer, also of a file that comes in pieces."""
    pieces = answer.streaming_content if answer.streaming else [answer.content]
    return b"".join(pieces).decode(errors="replace")


def signed_in(person: User) -> Browser:
    browser = Browser()
    browser.force_login(person)
    return browser


def test_every_page_of_the_rooms_is_in_these_tables():
    rooms = (integrations.urls, billing.urls, alerts.urls)
    named = {pattern.name for room in rooms for pattern in room.urlpatterns}
    shared = {"shared_evidence", "shared_evidence_pdf"}  # by signed link: tests/billing/test_evidence.py
    hooks = {"hook", "hook_off"}  # for PSAs: tests/integrations/test_hooks.py
    inside = {"tab_shell", "tab_enter", "tab_panel", "tab_map"}  # a PSA: tests/flows/test_hosted_tab.py
    ones_own = {"save_search", "delete_search", "guided_leave"}  # of viewers too, each with tests of its own
    machines = {"metrics"}  # tests/integrations/test_metrics.py
    of_staff = {"staff_board", "incident_begin", "incident", "incident_progress", "incident_carry_out"}
    elsewhere = (
        hooks | inside | ones_own | machines | of_staff | shared
    )  # of staff: tests/alerts/test_staffboard.py
    assert named - {*PAGES, *MANAGER_PAGES, *BUTTONS} == elsewhere


@pytest.mark.parametrize("name", [*PAGES, *MANAGER_PAGES, *BUTTONS])
def test_nobody_is_asked_to_sign_in(name, scene):
    answer = (
        Browser().get(address(name, scene)) if name not in BUTTONS else Browser().post(address(name, scene))
    )
    assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/accounts/login/")


@pytest.mark.parametrize("name", PAGES)
def test_a_viewer_may_look(name, scene):
    answer = signed_in(scene.viewer).get(address(name, scene))
    assert answer.status_code == 200


@pytest.mark.parametrize("name", [*MANAGER_PAGES, *POSTED_PAGES, *BUTTONS])
@pytest.mark.parity("S1-3", "S3-17")
def test_a_viewer_changes_nothing_and_is_told_who_can(name, scene):
    answer = signed_in(scene.viewer).post(address(name, scene))
    assert answer.status_code == 403
    assert "Partner Senior Manager" in answer.content.decode()


@pytest.mark.parametrize("name", [*PAGES, *MANAGER_PAGES])
def test_a_manager_gets_every_page(name, scene):
    assert signed_in(scene.manager).get(address(name, scene)).status_code == 200


@pytest.mark.parametrize("name", BUTTONS)
def test_a_button_does_its_work_and_leads_back_to_a_page(name, scene):
    expected = 200 if name in SHOWN_ONCE else 302
    assert signed_in(scene.manager).post(address(name, scene)).status_code == expected


@pytest.mark.parametrize("name", BUTTONS)
def test_a_button_is_never_a_link(name, scene):
    assert signed_in(scene.manager).get(address(name, scene)).status_code == 405


@pytest.mark.parametrize("name", [name for name in ABOUT_SOMETHING if name not in BUTTONS])
def test_another_partners_page_does_not_exist(name, scene):
    assert signed_in(scene.stranger).get(address(name, scene)).status_code == 404


@pytest.mark.parametrize(
    "name", [name for name in ABOUT_SOMETHING if name in BUTTONS or name in POSTED_PAGES]
)
def test_another_partners_things_cannot_be_changed(name, scene):
    assert signed_in(scene.stranger).post(address(name, scene)).status_code == 404


@pytest.mark.parametrize("name", [name for name, kind in PAGES.items() if not kind])
def test_a_list_never_shows_another_partners_rows(name, scene):
    text = text_of(signed_in(scene.stranger).get(address(name, scene)))
    assert scene.world.client.name not in text
    assert scene.world.partner.name not in text


@pytest.mark.parametrize("name", ["dashboard", "clients", "event_log", "status", "tickets", "conditions"])
def test_staff_see_all_partners_until_they_pick_one(name, scene):
    browser = signed_in(scene.staff)
    assert "All partners" in browser.get(address(name, scene)).content.decode()
    browser.post(reverse("pick_partner"), {"partner": str(scene.world.partner.pk)})
    assert "All partners" not in browser.get(address(name, scene)).content.decode()


@pytest.mark.parametrize("name", ["credentials", "setup", "notifications", "company_mapping"])
def test_pages_about_one_partner_ask_staff_to_pick_it(name, scene):
    assert signed_in(scene.staff).get(address(name, scene))["Location"] == reverse("partners")


def test_somebody_elses_partner_cannot_be_picked(scene):
    answer = signed_in(scene.stranger).post(reverse("pick_partner"), {"partner": str(scene.world.partner.pk)})
    assert answer.status_code == 404


def test_a_member_of_two_partners_sees_both_or_the_one_that_is_picked(scene):
    both = make.user(scene.world.partner)
    tailspin = make.partner("Tailspin West")
    Membership.objects.create(user=both, partner=tailspin)
    clients.add_client(tailspin, name="Umbra Film", number=40001)
    browser = signed_in(both)
    text = browser.get("/clients").content.decode()
    assert "Umbra Film" in text
    assert "Bakery Ott" in text
    browser.post(reverse("pick_partner"), {"partner": str(tailspin.pk)})
    assert "Bakery Ott" not in browser.get("/clients").content.decode()


@pytest.mark.parametrize("name", [*PAGES, *MANAGER_PAGES])
def test_no_page_contains_a_secret_or_needs_inline_scripts_and_styles(name, scene):
    secret = scene.world.sandbox.dialect.credentials()["private_key"]
    text = text_of(signed_in(scene.manager).get(address(name, scene)))
    forbidden = (secret, "gAAAA", "style=", "<style", "onclick=", "<script>")
    assert [part for part in forbidden if part in text] == []


def test_an_unknown_id_and_a_foreign_one_look_the_same(scene):
    browser = signed_in(scene.stranger)
    unknown = browser.get(reverse("client", args=[uuid.uuid4()]))
    foreign = browser.get(reverse("client", args=[scene.world.client.pk]))
    assert [unknown.status_code, foreign.status_code] == [404, 404]


def test_error_pages_name_the_request(client):
    answer = client.get("/nothing-here")
    assert answer.status_code == 404
    assert answer["X-Request-Id"] in answer.content.decode()


def test_machines_get_their_errors_as_problem_json(client):
    answer = client.get("/api/v1/nothing-here")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
    assert answer.json()["code"] == "not_found"


@pytest.mark.parametrize(
    "path", ["login/", "signup/", "password/reset/", "password/reset/done/", "inactive/"]
)
def test_the_way_in_is_restyled(path, client):
    answer = client.get(f"/accounts/{path}")
    assert answer.status_code == 200
    assert "entrance-card" in answer.content.decode()


@pytest.mark.parametrize("code", [*CODES.values(), "internal_error", "id_reused"])
def test_every_error_code_of_the_api_is_explained(code, client):
    assert f'id="{code}"' in client.get("/api/docs/errors").content.decode()


def test_nobody_signs_up_alone(client):
    assert "invited" in client.get("/accounts/signup/").content.decode()
    assert client.post("/accounts/signup/", {"email": "a@example.com"}).status_code == 405


def test_a_person_signs_in_by_e_mail(client, scene):
    answer = client.post(
        "/accounts/login/", {"login": "manager@northwind.example", "password": "correct horse battery"}
    )
    assert (answer.status_code, answer["Location"]) == (302, "/")


def test_a_wrong_password_is_refused_without_saying_who_exists(client, scene):
    texts = []
    for address_ in ("manager@northwind.example", "nobody@northwind.example"):
        answer = client.post("/accounts/login/", {"login": address_, "password": "wrong horse"})
        text = answer.content.decode()
        texts.append(text[text.index("note-bad") : text.index("note-bad") + 200])
    assert texts[0] == texts[1]


def test_health_asks_no_database(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        answer = client.get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok\n")


def test_readiness_tells_of_database_and_dispatcher(client):
    assert client.get("/readyz").json() == {"database": "answers", "dispatcher": "silent"}
    heartbeat.beat("dispatcher")
    assert client.get("/readyz").json() == {"database": "answers", "dispatcher": "alive"}


def test_every_route_has_a_name_of_its_own():
    names = [pattern.name for pattern in get_resolver().url_patterns if isinstance(pattern, URLPattern)]
    assert len(names) == len(set(names))
