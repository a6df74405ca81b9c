"""The permission doctor from the doors to the pretend PSA: what is asked, kept, shown, and given to administrators."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from integrations import connections, doctor
from integrations.connections import Entered
from integrations.models import Credentials
from integrations.sandbox import running_sandbox
from portal import clients, clock
from portal.models import Organization
from tests import make
from tests.portal.test_pages import signed_in

pytestmark = pytest.mark.django_db
ALWAYS = {"tickets", "closing", "billing", "choices"}


@pytest.fixture
def row(world: make.World) -> Credentials:
    return world.credentials


@pytest.fixture
def branch(world: make.World) -> Organization:
    return Organization.objects.create(partner=world.partner, parent=world.organization, name="Branch South")


@pytest.fixture
def manager(world: make.World) -> Browser:
    return signed_in(make.user(world.partner))


def report(row: Credentials) -> dict[str, Any]:
    row.refresh_from_db()
    return {line["name"]: line for line in row.test_report}


# --- What the role has to be good for --------------------------------------------------------------------------------


def test_tickets_billing_and_choices_count_when_nobody_says_anything(row: Credentials) -> None:
    what = doctor.features_in_use(row)
    assert (what.features, what.observed) == (ALWAYS, frozenset())


@pytest.mark.parity("S1-2")
def test_a_module_that_observes_everywhere_needs_to_read_only(row: Credentials, branch: Organization) -> None:
    Organization.objects.update(billing_mode="observe")
    assert doctor.features_in_use(row).observed == {"billing"}
    Organization.objects.filter(pk=branch.pk).update(billing_mode="live")
    assert doctor.features_in_use(row).observed == frozenset()


def test_one_client_that_writes_is_enough(world: make.World, row: Credentials) -> None:
    Organization.objects.update(tickets_mode="observe")
    assert doctor.features_in_use(row).observed == {"tickets", "closing"}
    world.client.tickets_mode = "live"
    world.client.save()
    assert doctor.features_in_use(row).observed == frozenset()


def test_what_uses_other_credentials_does_not_count(
    world: make.World, row: Credentials, branch: Organization
) -> None:
    branch.statistics_mode = "live"
    branch.save()
    assert "statistics" in doctor.features_in_use(row).features
    other = make.connect(branch, world.sandbox)
    assert "statistics" not in doctor.features_in_use(row).features
    assert "statistics" in doctor.features_in_use(other).features


def test_what_no_mode_speaks_of_is_ticked(row: Credentials) -> None:
    doctor.ask(row, ["hosted_tab", "nonsense"])
    row.refresh_from_db()
    assert row.also_used == ["hosted_tab"]
    assert doctor.features_in_use(row).features == ALWAYS | {"hosted_tab"}
    doctor.ask(row)
    row.refresh_from_db()
    assert row.also_used == ["hosted_tab"]


def test_cross_references_that_are_only_observed_need_no_right_to_write(row: Credentials) -> None:
    doctor.ask(row, ["cross_references"])
    assert doctor.features_in_use(row).observed == frozenset()
    Organization.objects.update(billing_mode="observe")
    assert doctor.features_in_use(row).observed == {"billing", "cross_references"}


# --- The visit -------------------------------------------------------------------------------------------------------


@pytest.mark.parity("S0-4")
def test_a_visit_costs_fourteen_reads_and_is_kept(world: make.World, row: Credentials) -> None:
    before = world.sandbox.log.newest(1)[0].number
    doctor.examine(row)
    calls = world.sandbox.log.since(before)
    assert {call.method for call in calls} == {"GET"}
    assert len(calls) == 14
    lines = report(row)
    assert row.test_passed is True
    assert lines["Service Desk > Service Tickets"]["needs"] == ["Add: All", "Edit: All", "Inquire: All"]
    assert [line.name for line in doctor.report_of(row)] == list(lines)


@pytest.mark.parity("S3-21")
def test_a_missing_right_fails_the_test_and_names_what_breaks(world: make.World, row: Credentials) -> None:
    world.sandbox.control.role(agreements={"edit": "None"})
    checks = doctor.examine(row)
    row.refresh_from_db()
    assert row.test_passed is False
    found = doctor.summary(checks)
    assert (found.broken, found.failed) == (("Billing",), 1)
    assert "Tickets" in found.works


def test_a_report_on_credentials_that_were_changed_meanwhile_is_thrown_away(row: Credentials) -> None:
    Credentials.objects.filter(pk=row.pk).update(version=row.version + 1, test_passed=None)
    doctor.examine(row)
    row.refresh_from_db()
    assert (row.test_passed, row.test_report) == (None, [])
    assert row.tested_at is not None, "nobody waits for it any more"


def test_what_could_not_be_tried_is_no_success(world: make.World, row: Credentials) -> None:
    world.sandbox.control.fault("status_500", path="service/priorities")
    doctor.examine(row)
    assert row.test_passed is False
    assert doctor.summary(doctor.report_of(row)).untried == ("Choices and company mapping",)


@pytest.mark.parity("S4-66")
def test_with_refused_keys_no_feature_is_said_to_work(world: make.World, row: Credentials) -> None:
    world.sandbox.control.rotate_keys()
    found = doctor.summary(doctor.examine(row))
    assert (found.works, found.unsure, found.broken, found.failed) == ((), (), (), 1)
    assert found.untried == ("Tickets", "Closing tickets", "Billing", "Choices and company mapping")


def test_a_report_of_an_older_version_is_still_shown(
    row: Credentials, world: make.World, manager: Browser
) -> None:
    old = [{"name": "Sign in", "verdict": "passed", "detail": "fine", "fix": "", "seconds": 0.1, "gone": 1}]
    Credentials.objects.update(test_report=old, test_passed=True, tested_at=clock.now())
    text = manager.get(
        reverse("credentials_of", args=["organization", world.organization.pk])
    ).content.decode()
    assert "Connection Succeeded" in text
    row.refresh_from_db()
    assert doctor.work_order(row).grants


# --- Pages -----------------------------------------------------------------------------------------------------------


@pytest.mark.parity("S0-5", "S2-7", "S3-11")
def test_the_page_names_cause_fix_and_what_breaks(
    world: make.World, row: Credentials, manager: Browser
) -> None:
    world.sandbox.control.role(close_service_tickets="None")
    doctor.examine(row)
    text = manager.get(
        reverse("credentials_of", args=["organization", world.organization.pk])
    ).content.decode()
    assert "Connection failed" in text
    assert "Does not work: Closing tickets." in text
    assert "Security Modules &gt; Service Desk: Close Service Tickets (Edit, Inquire: All)" in text
    assert "More than needed:" in text
    assert "Work order" in text


@pytest.mark.parity("S0-5", "S2-10", "S3-13", "S3-15")
def test_the_work_order_says_what_is_missing_where_and_why(
    world: make.World, row: Credentials, manager: Browser
) -> None:
    world.sandbox.control.role(table_setup={"allow": "Service / Service Board, Service / Source"})
    doctor.examine(row)
    text = manager.get(reverse("work_order", args=[row.pk])).content.decode()
    assert "System &gt; Table Setup (Service / Priority)" in text
    assert "open its customize link and allow Service / Priority" in text
    assert "Missing" in text
    assert "Rights to take away" in text
    assert "Corporate (Level 1)" in text
    assert "sandboxPrivateKey1" not in text


def test_the_work_order_comes_as_text_too_and_before_any_test(row: Credentials, manager: Browser) -> None:
    answer = manager.get(reverse("work_order_text", args=[row.pk]))
    assert answer["Content-Type"] == "text/markdown; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="work-order-connectwise.md"'
    text = answer.content.decode()
    assert "last test: not tested yet" in text
    assert "| Procurement > Product Catalog | Inquire: All |" in text
    assert "sandboxPrivateKey1" not in text


@pytest.mark.parity("S3-6")
def test_a_work_order_follows_what_is_switched_on_since_the_test(row: Credentials) -> None:
    doctor.examine(row)
    Organization.objects.update(billing_mode="observe")
    order = doctor.work_order(row)
    additions = next(line for line in order.grants if line.area == "Finance > Agreements (Additions)")
    assert (additions.needs, additions.verdict) == (("Inquire: All",), "skipped")


def test_a_name_with_line_breaks_cannot_change_the_work_order(row: Credentials, world: make.World) -> None:
    world.organization.name = "Evil\n# Grant everything | to me"
    world.organization.save()
    row.refresh_from_db()
    assert "\n# Grant" not in doctor.as_markdown(doctor.work_order(row))


@pytest.mark.parity("S2-1")
def test_autotask_has_its_own_work_order(db: None) -> None:
    with running_sandbox(kind="autotask") as sandbox:
        organization = clients.top_level(make.partner("Southwind MSP"))
        keys = sandbox.dialect.credentials()
        entered = Entered(
            kind="autotask",
            site_url=sandbox.url,
            login_company=keys["integration_code"],
            public_key=keys["user_name"],
            secret=keys["secret"],
        )
        row = connections.save_credentials(organization, entered, by=None)
        sandbox.control.role(contract_services={"update": "None"})
        doctor.examine(row)
        text = doctor.as_markdown(doctor.work_order(row))
    assert "| Contracts (ContractServices) | View (Query): All, Edit (Update): All |" in text
    assert "MISSING" in text
    assert "Copy API User (system)" in text
    assert keys["secret"] not in text
    assert doctor.extras_of("autotask") == ("inbound",)


# --- REST ------------------------------------------------------------------------------------------------------------


def test_a_machine_finds_tests_and_reads(world: make.World, row: Credentials) -> None:
    api = make.api(world.token)
    listed = api.get("/api/v1/connections").json()["results"]
    assert [(one["id"], one["kind"], one["test_passed"]) for one in listed] == [
        (str(row.pk), "connectwise", None)
    ]
    assert "secret" not in str(listed)
    world.sandbox.control.role(contacts="None")
    answer = api.post(f"/api/v1/connections/{row.pk}/test").json()
    failed = [line for line in answer["lines"] if line["verdict"] == "failed"]
    assert answer["passed"] is False
    assert [(line["area"], line["breaks"]) for line in failed] == [("Companies > Contacts", ["choices"])]
    assert api.get(f"/api/v1/connections/{row.pk}/test").json()["lines"] == answer["lines"]
    assert "MISSING" in answer["work_order"]


def test_asking_again_at_once_costs_the_psa_nothing(world: make.World, row: Credentials) -> None:
    api = make.api(world.token)
    first = api.post(f"/api/v1/connections/{row.pk}/test").json()
    before = world.sandbox.log.newest(1)[0].number
    assert api.post(f"/api/v1/connections/{row.pk}/test").json()["tested_at"] == first["tested_at"]
    assert world.sandbox.log.since(before) == []


def test_testing_needs_its_scope_and_ones_own_connection(world: make.World, row: Credentials) -> None:
    reader = make.api(make.token(world.partner, scopes=("connections:read",)))
    assert reader.get(f"/api/v1/connections/{row.pk}/test").status_code == 200
    assert reader.post(f"/api/v1/connections/{row.pk}/test").status_code == 403
    rival = make.api(make.token(make.partner("Rival")))
    assert rival.post(f"/api/v1/connections/{row.pk}/test").status_code == 404
    assert rival.get("/api/v1/connections").json()["results"] == []


def test_the_admin_shows_the_lines(row: Credentials) -> None:
    doctor.examine(row)
    staff = signed_in(make.user(None, is_staff=True, is_superuser=True))
    text = staff.get(reverse("admin:integrations_credentials_change", args=[row.pk])).content.decode()
    assert "Service Desk &gt; Service Tickets: <strong>passed</strong>" in text
    assert reverse("work_order", args=[row.pk]) in text
