"""The guided set-up: every step is green by facts of the tables, and leads to where it can be made so."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.urls import reverse

from alerts import connectionfacts, guide, jobs
from alerts.models import GuidedSetup, Notification, TicketSettings, TicketTest
from billing import usage
from billing.models import AgreementLink, CrossReference, PushRun, Service
from integrations import choices, doctor
from integrations.models import Choice, CompanyLink, Credentials
from integrations.sandbox import Sandbox, running_sandbox
from portal import clients, clock
from portal.models import Role, StepRemark
from tests import make
from tests.portal.test_pages import signed_in

pytestmark = pytest.mark.django_db


def way(row: Credentials) -> guide.Guide:
    found = connectionfacts.of(row.partner)
    facts = next(one for one in found.connections if one.row.pk == row.pk)
    return guide.guide_of(facts, found)


def states(row: Credentials) -> dict[str, str]:
    return {step.key: step.state for step in way(row).steps}


@pytest.fixture
def browser(world: make.World) -> Any:
    return signed_in(make.user(world.partner))


def press(browser: Any, row: Credentials, do: str, **more: str) -> str:
    answer = browser.post(reverse("guided_act", args=[row.pk]), {"do": do, **more}, follow=True)
    return str(answer.content.decode())


def test_a_partner_without_a_connection_is_asked_which_psa(client):
    text = signed_in(make.user(make.partner("Fresh MSP"))).get(reverse("guided_setup")).content.decode()
    assert ("Which PSA do you use?" in text, "?kind=autotask" in text) == (True, True)


def test_the_dashboard_of_a_newcomer_leads_there():
    newcomer = make.user(make.partner("Fresh MSP"))
    assert reverse("guided_setup") in signed_in(newcomer).get("/").content.decode()


def test_autotask_is_chosen_in_the_form_that_it_leads_to():
    newcomer = make.user(make.partner("Fresh MSP"))
    browser = signed_in(newcomer)
    page = browser.get(reverse("guided_setup")).content.decode()
    start = page.index("/partnership/credentials/organization/")
    address = page[start : page.index('"', start)].replace("connectwise", "autotask")
    form = browser.get(address).content.decode()
    assert '<option value="autotask" selected>' in form


def test_it_walks_from_keys_to_the_first_preview(sandbox):
    """Only what the pages' buttons ask for, against a real sandbox; each step is done when its facts say so."""
    make.catalogues()
    msp = make.partner("Walk MSP")
    bakery = clients.add_client(msp, name="Bakery Ott", number=19652)
    row = Credentials.objects.get(pk=make.connect(clients.top_level(msp), sandbox).pk)
    row.choice_lists.all().delete()
    browser = signed_in(make.user(msp))
    assert (states(row)["keys"], way(row).next.key) == ("done", "test")

    press(browser, row, "test")
    assert states(row)["test"] == "busy"
    doctor.examine(Credentials.objects.get(pk=row.pk))
    row.refresh_from_db()
    assert way(row).next.key == "options"

    choices.reload(row)
    assert way(row).next.key == "mapping"
    press(browser, row, "suggest")
    step = way(row).next
    assert (step.do, "1 of them there is one clear" in step.fact) == ("accept", True)
    CompanyLink.objects.create(
        partner=msp, client=bakery, credentials=row, psa_company_id="250", psa_company_name="Bakery Ott"
    )

    step = way(row).next
    assert (step.key, step.do) == ("tickets", "defaults")
    press(browser, row, "defaults")
    saved = TicketSettings.objects.get(partner=msp)
    assert (saved.new_status.data["closed"], saved.closing_status.data["closed"]) == (False, True)
    assert {saved.new_status.within, saved.closing_status.within} == {saved.board.psa_id}

    assert way(row).next.key == "rule"
    press(browser, row, "rule")
    press(browser, row, "rule")
    assert Notification.objects.filter(partner=msp, action="ticket").count() == 1

    press(browser, row, "test_ticket")
    assert states(row)["test_ticket"] == "busy"
    jobs.test_ticket(str(TicketTest.objects.get().pk))
    assert (TicketTest.objects.get().state, states(row)["test_ticket"]) == ("passed", "done")

    assert way(row).next.key == "products"
    CrossReference.objects.create(
        partner=msp,
        organization=clients.top_level(msp),
        service=Service.objects.get(key="online-backup-servers"),
        product=row.choices.get(kind="product", psa_id="302"),
    )
    assert way(row).next.key == "agreements"
    AgreementLink.objects.create(
        partner=msp, client=bakery, credentials=row, agreement=row.choices.get(kind="agreement", psa_id="401")
    )

    press(browser, row, "preview")
    jobs.first_preview(str(row.pk))
    assert states(row)["preview"] == "next"
    assert "nothing could be planned" in GuidedSetup.objects.get().preview_text
    measure(bakery)
    press(browser, row, "preview")
    jobs.first_preview(str(row.pk))
    assert way(row).is_over
    assert PushRun.objects.count() == 0
    assert "Everything is set up" in browser.get(reverse("guided_setup_of", args=[row.pk])).content.decode()


def measure(client: Any) -> None:
    day = usage.today_for(client)
    usage.record(
        [
            usage.Measured(
                client=client,
                account="SRV-01",
                service=Service.objects.get(key="online-backup-servers"),
                quantity=Decimal(3),
                measured_on=day,
                source="test",
            )
        ]
    )


@pytest.fixture(scope="module")
def autotask() -> Iterator[Sandbox]:
    with running_sandbox(kind="autotask") as sandbox:
        yield sandbox


def test_an_autotask_gets_settings_that_open_a_ticket(autotask):
    world = make.autotask_world(autotask)
    TicketSettings.objects.all().delete()
    guide.use_defaults(world.credentials, by="manager")
    saved = TicketSettings.objects.get(partner=world.partner)
    assert saved.priority is not None
    assert (saved.new_status.data["closed"], saved.closing_status.data["closed"]) == (False, True)
    doctor.examine(world.credentials)
    browser = signed_in(make.user(world.partner))
    press(browser, world.credentials, "test_ticket")
    jobs.test_ticket(str(TicketTest.objects.get().pk))
    assert (TicketTest.objects.get().state, TicketTest.objects.get().steps[0]["text"]) == (
        "passed",
        "The ticket is open.",
    )


# --- Facts, not clicks -----------------------------------------------------------------------------------------------


def test_pressing_a_button_makes_nothing_green(browser, world):
    Credentials.objects.update(test_passed=None)
    for do in ("test", "reload", "test_ticket", "preview", "nonsense", ""):
        press(browser, world.credentials, do)
    world.credentials.refresh_from_db()
    found = states(world.credentials)
    assert [found[key] for key in ("test", "test_ticket", "preview")].count("done") == 0


def passed(world: make.World) -> None:
    Credentials.objects.update(test_passed=True, tested_at=clock.now())
    world.credentials.refresh_from_db()


def test_refused_keys_undo_a_test_that_passed(world):
    passed(world)
    assert states(world.credentials)["test"] == "done"
    world.credentials.lane.breaker = "sign_in_refused"
    world.credentials.lane.save()
    assert states(world.credentials)["test"] != "done"


def test_a_status_that_vanished_opens_the_settings_again(world):
    passed(world)
    assert states(world.credentials)["tickets"] == "done"
    Choice.objects.filter(pk=TicketSettings.objects.get().closing_status_id).update(vanished_at=clock.now())
    step = next(step for step in way(world.credentials).steps if step.key == "tickets")
    assert (step.state, "No longer in the PSA" in step.fact) == ("next", True)


def test_a_client_more_opens_the_mapping_again(world):
    passed(world)
    assert states(world.credentials)["mapping"] == "done"
    clients.add_client(world.partner, name="New Client")
    assert way(world.credentials).next.key == "mapping"


def test_a_test_ticket_of_before_the_keys_were_changed_does_not_count(world):
    row = TicketTest.objects.create(
        partner=world.partner,
        client=world.client,
        credentials=world.credentials,
        external_ref="test:1",
        state="passed",
        finished_at=clock.now(),
    )
    passed(world)
    assert states(world.credentials)["test_ticket"] == "done"
    Credentials.objects.update(secret_set_at=row.finished_at + clock.spread(60, by=0))
    world.credentials.refresh_from_db()
    assert states(world.credentials)["test_ticket"] == "next"


def test_a_switched_off_rule_is_no_rule(world):
    Notification.objects.update(is_enabled=False)
    assert states(world.credentials)["rule"] != "done"


# --- The way itself --------------------------------------------------------------------------------------------------


def test_billing_can_be_left_out_and_taken_in_again(browser, world):
    passed(world)
    for key in ("test_ticket", "products", "agreements", "preview"):
        press(browser, world.credentials, "leave_out", step=key)
    assert way(world.credentials).is_over
    press(browser, world.credentials, "leave_out", step="products")
    assert way(world.credentials).next.key == "products"


def test_what_the_rest_stands_on_cannot_be_left_out(browser, world):
    text = press(browser, world.credentials, "leave_out", step="test")
    assert ("cannot be left out" in text, GuidedSetup.objects.exists()) == (True, False)


def test_every_page_leads_back_until_one_leaves(browser, world):
    assert "Back to the steps" not in browser.get(reverse("setup")).content.decode()
    browser.get(reverse("guided_setup_of", args=[world.credentials.pk]))
    assert "Back to the steps" in browser.get(reverse("setup")).content.decode()
    browser.post(reverse("guided_leave"))
    assert "Back to the steps" not in browser.get(reverse("setup")).content.decode()


def test_another_partners_way_does_not_exist(world):
    stranger = signed_in(make.user(make.partner("Tailspin IT")))
    address = reverse("guided_act", args=[world.credentials.pk])
    assert stranger.post(address, {"do": "rule"}).status_code == 404


def test_a_viewer_sees_the_steps_without_buttons(world):
    viewer = signed_in(make.user(world.partner, role=Role.VIEWER))
    text = viewer.get(reverse("guided_setup_of", args=[world.credentials.pk])).content.decode()
    assert ('name="do"' in text, "Test It" in text) == (False, True)


@pytest.mark.parametrize("standing", ["draft", "former"])
def test_a_connection_that_is_not_in_effect_has_no_buttons(world, browser, standing):
    Credentials.objects.filter(pk=world.credentials.pk).update(standing=standing)
    for name, method in (("guided_setup_of", browser.get), ("guided_act", browser.post)):
        assert method(reverse(name, args=[world.credentials.pk]), {"do": "defaults"}).status_code == 404


# --- A step that does not match --------------------------------------------------------------------------------------


@pytest.mark.parity("S0-39")
def test_a_step_that_does_not_match_ones_psa_is_told_to_staff(browser, world):
    page = press(browser, world.credentials, "remark", step="test", text="Our menu says Members elsewhere.")
    said = StepRemark.objects.get()
    assert (said.partner, said.step, said.text) == (
        world.partner,
        "Test It",
        "Our menu says Members elsewhere.",
    )
    assert "is with the vendor" in page
    seen = signed_in(make.user(is_staff=True, is_superuser=True)).get(
        reverse("admin:portal_stepremark_changelist")
    )
    assert "Our menu says Members elsewhere." in seen.content.decode()


@pytest.mark.parametrize(
    "sent", [{"step": "test"}, {"step": "test", "text": " "}, {"step": "nonsense", "text": "x"}, {"text": "x"},
             {"step": "test", "text": "\x00"}, {"step": "test", "text": "x" * 2001}]
)  # fmt: skip
def test_a_remark_that_says_nothing_or_of_no_step_is_not_kept(browser, world, sent):
    assert "Nothing was sent" in press(browser, world.credentials, "remark", **sent)
    assert not StepRemark.objects.exists()


def test_who_may_only_look_sends_no_remark(world):
    viewer = signed_in(make.user(world.partner, role=Role.VIEWER))
    answer = viewer.post(
        reverse("guided_act", args=[world.credentials.pk]), {"do": "remark", "step": "test", "text": "x"}
    )
    assert (answer.status_code, StepRemark.objects.exists()) == (403, False)
