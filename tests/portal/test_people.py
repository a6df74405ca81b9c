"""People: impersonation by the rules, team and tokens, and an audit log that shows when it was touched."""

from __future__ import annotations

import importlib
import json
import threading
import uuid
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client as Browser
from django.urls import reverse

from portal import audit, audittriggers, clock, impersonation
from portal.models import Account, ApiToken, AuditChain, AuditEntry, Client, Membership, Partner, Role, User
from tests import make

pytestmark = pytest.mark.django_db


@pytest.fixture
def partner() -> Partner:
    make.catalogues()
    return make.partner()


@pytest.fixture
def manager(partner: Partner) -> User:
    return make.user(partner, email="manager@northwind.example")


@pytest.fixture
def staff() -> User:
    return make.user(None, email="staff@vendor.example", is_staff=True)


def browser_of(person: User) -> Browser:
    found = Browser()
    found.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
    return found


def text_of(answer: Any) -> str:
    return answer.content.decode()


# --- Account List (S4-52, S4-53) --------------------------------------------------------------------------------------


@pytest.mark.parity("S4-52")
def test_S4_52_the_account_list_finds_by_number_client_and_client_id(partner, manager):
    client = make.clients.add_client(partner, name="Bakery Otto", number=19652)
    for key in ("SRV-01", "SRV-02"):
        Account.objects.create(partner=partner, client=client, key=key)
    browser = browser_of(manager)
    assert "SRV-02" in text_of(browser.get(reverse("accounts"), {"q": "EFS-19652"}))
    assert "SRV-02" not in text_of(browser.get(reverse("accounts"), {"q": "srv-01"}))
    assert "SRV-01" in text_of(browser.get(reverse("accounts"), {"q": "bakery"}))


@pytest.mark.parity("S4-53")
def test_S4_53_E_opens_the_accounts_events_and_I_is_for_staff(partner, manager, staff):
    client = make.clients.add_client(partner, name="Bakery Otto", number=19652)
    Account.objects.create(partner=partner, client=client, key="SRV 01&x")
    shown = text_of(browser_of(manager).get(reverse("accounts")))
    assert "term=SRV%2001%26x" in shown
    assert "[E]" in shown
    assert "[I]" not in shown
    assert "[I]" in text_of(browser_of(staff).get(reverse("accounts")))


# --- Impersonation ----------------------------------------------------------------------------------------------------


def begin(staff: User, person: User, partner: Partner, **more: Any) -> Browser:
    browser = browser_of(staff)
    membership = Membership.objects.filter(user=person).first()
    form = {
        "person": str(membership.pk if membership else ""),
        "reason": "mapping looks wrong",
        "case": "C-77",
        **more,
    }
    browser.post(reverse("impersonate", args=[partner.pk]), form)
    return browser


@pytest.mark.parity("S4-61")
def test_staff_see_what_the_person_sees_with_a_banner_and_a_way_out(partner, manager, staff):
    other = make.partner("Other MSP")
    make.clients.add_client(other, name="Florist")
    browser = begin(staff, manager, partner)
    shown = text_of(browser.get(reverse("clients")))
    assert "staff@vendor.example" in shown
    assert "Stop Impersonating" in shown
    assert "Florist" not in shown
    browser.post(reverse("stop_impersonating"))
    assert "Florist" in text_of(browser.get(reverse("clients")))


def test_the_partner_reads_who_looked_and_why(partner, manager, staff):
    browser = begin(staff, manager, partner)
    browser.post(reverse("stop_impersonating"))
    shown = text_of(browser_of(manager).get(reverse("audit_log")))
    for words in (
        "staff@vendor.example",
        "as manager@northwind.example",
        "mapping looks wrong",
        "C-77",
        "Impersonation.begin",
    ):
        assert words in shown


def test_it_is_read_only_unless_asked_for_and_then_both_names_are_written(partner, manager, staff):
    organization = make.clients.top_level(partner)
    page = reverse("billing_settings", args=["organization", organization.pk])
    begin(staff, manager, partner).post(page, {})
    assert not AuditEntry.objects.filter(action="post billing_settings").exists()
    begin(staff, manager, partner, may_write="on").post(page, {})
    entry = AuditEntry.objects.filter(action="post billing_settings").get()
    assert (entry.actor, entry.on_behalf_of) == ("staff@vendor.example", "manager@northwind.example")


@pytest.mark.parametrize("name", sorted(impersonation.KEYS_AND_PEOPLE))
def test_keys_secrets_and_people_are_never_changed_under_another_name(partner, manager, staff, name):
    make.token(partner)
    objects = {
        "change_connection": [uuid.uuid4()],
        "credentials_of": ["organization", make.clients.top_level(partner).pk],
        "person_change": [Membership.objects.get(user=manager).pk],
        "person_reset_factor": [Membership.objects.get(user=manager).pk],
        "person_sign_out": [Membership.objects.get(user=manager).pk],
        "token_revoke": [ApiToken.objects.get().pk],
        "webhook": [uuid.uuid4()],
        "webhook_rotate": [uuid.uuid4()],
    }
    browser = begin(staff, manager, partner, may_write="on")
    answer = browser.post(reverse(name, args=objects.get(name, [])), {"remove": "1"}, follow=True)
    assert "Stop impersonating first: keys, secrets and people are changed as oneself." in text_of(answer)
    assert ApiToken.objects.get().revoked_at is None


def test_it_ends_by_itself(partner, manager, staff, monkeypatch):
    browser = begin(staff, manager, partner)
    later = clock.now() + impersonation.LASTS
    monkeypatch.setattr(clock, "now", lambda: later)
    assert "Stop Impersonating" not in text_of(browser.get(reverse("clients"), follow=True))


@pytest.mark.parametrize("page", ["/accounts/password/change/", "/admin/"])
def test_ones_own_pages_are_closed_meanwhile(partner, manager, staff, page):
    assert begin(staff, manager, partner).get(page)["Location"] == reverse("dashboard")


def test_nobody_impersonates_staff_a_stranger_or_twice(partner, manager, staff):
    stranger = make.user(make.partner("Other MSP"), email="stranger@other.example")
    colleague = make.user(partner, email="colleague@vendor.example", is_staff=True)
    for person in (stranger, colleague):
        begin(staff, person, partner)
    assert not AuditEntry.objects.filter(action="impersonation.begin").exists()
    browser = begin(staff, manager, partner)
    assert browser.get(reverse("impersonate", args=[partner.pk])).status_code == 404
    assert browser_of(manager).get(reverse("impersonate", args=[partner.pk])).status_code == 404


@pytest.mark.parametrize("missing", ["reason", "case"])
def test_without_reason_or_case_it_does_not_begin(partner, manager, staff, missing):
    begin(staff, manager, partner, **{missing: ""})
    assert not AuditEntry.objects.exists()


# --- Team & Tokens ----------------------------------------------------------------------------------------------------


def test_an_invited_person_gets_a_mail_and_sees_the_partner(partner, manager):
    browser_of(manager).post(reverse("person_new"), {"email": "New@Northwind.example", "role": Role.VIEWER})
    member = Membership.objects.get(user__email__iexact="new@northwind.example")
    assert (member.partner, member.role, member.user.has_usable_password()) == (partner, Role.VIEWER, False)
    assert [message.to for message in mail.outbox] == [[member.user.email]]
    assert "/accounts/password/reset/key/" in str(mail.outbox[0].body)


def test_a_mail_server_that_is_down_is_told_and_the_person_is_a_member(partner, manager, monkeypatch):
    def refuse(*args: Any, **more: Any) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr("portal.letters.send_way_in", refuse)
    form = {"email": "new@northwind.example", "role": Role.VIEWER}
    answer = browser_of(manager).post(reverse("person_new"), form, follow=True)
    assert "the mail could not be sent" in text_of(answer)
    assert Membership.objects.filter(user__email="new@northwind.example").exists()


def test_one_who_has_a_password_gets_no_mail(partner, manager):
    make.user(make.partner("Other MSP"), email="both@example.com")
    browser_of(manager).post(reverse("person_new"), {"email": "both@example.com", "role": Role.VIEWER})
    assert Membership.objects.filter(user__email="both@example.com").count() == 2
    assert mail.outbox == []


@pytest.mark.parametrize("email", ["staff@vendor.example", "manager@northwind.example", "no address"])
def test_staff_members_and_nonsense_are_not_invited(partner, manager, staff, email):
    answer = browser_of(manager).post(reverse("person_new"), {"email": email, "role": Role.VIEWER})
    assert answer.status_code == 200
    assert Membership.objects.count() == 1


def test_the_last_manager_stays(partner, manager):
    membership = Membership.objects.get(user=manager)
    browser = browser_of(manager)
    browser.post(reverse("person_change", args=[membership.pk]), {"remove": "1"})
    browser.post(reverse("person_change", args=[membership.pk]), {"role": Role.VIEWER})
    membership.refresh_from_db()
    assert membership.role == Role.SENIOR_MANAGER
    second = make.user(partner, email="second@northwind.example")
    browser.post(
        reverse("person_change", args=[Membership.objects.get(user=second).pk]), {"role": Role.VIEWER}
    )
    assert Membership.objects.get(user=second).role == Role.VIEWER


def test_a_token_is_shown_once_works_and_can_be_revoked(partner, manager):
    browser = browser_of(manager)
    answer = browser.post(reverse("token_new"), {"name": "Backup", "scopes": ["clients:read"], "days": "90"})
    text = answer.context["made_text"]
    assert text in text_of(answer)
    assert text not in text_of(browser.get(reverse("team")))
    assert make.api(text).get("/api/v1/clients").status_code == 200
    browser.post(reverse("token_revoke", args=[ApiToken.objects.get().pk]))
    assert make.api(text).get("/api/v1/clients").status_code == 401
    assert AuditEntry.objects.filter(action="post token_new").count() == 1
    assert text not in json.dumps(list(AuditEntry.objects.values()), default=str)


def test_another_partners_people_and_tokens_are_not_found(partner, manager):
    make.token(partner)
    stranger = browser_of(make.user(make.partner("Other MSP")))
    for name, pk in (
        ("token_revoke", ApiToken.objects.get().pk),
        ("person_change", Membership.objects.get(user=manager).pk),
    ):
        assert stranger.post(reverse(name, args=[pk]), {"remove": "1"}).status_code == 404


# --- The audit log ----------------------------------------------------------------------------------------------------


def test_what_pages_and_calls_change_is_written_down_without_secrets(partner, manager):
    organization = make.clients.top_level(partner)
    secret = "s3cr3tPrivateKey99"
    browser_of(manager).post(
        reverse("credentials_of", args=["organization", organization.pk]),
        {
            "kind": "connectwise",
            "site_url": "na.myconnectwise.net",
            "login_company": "northwind",
            "public_key": "AbCdEf0123456789",
            "secret": secret,
        },
    )
    make.api(make.token(partner)).post("/api/v1/clients", {"name": "Florist"}, format="json")
    entries = list(AuditEntry.objects.order_by("number"))
    assert [entry.action for entry in entries] == ["post credentials_of", "post api-clients"]
    assert entries[0].details["site_url"] == "na.myconnectwise.net"
    assert entries[0].details["secret"] == "(not kept)"
    assert entries[1].details == {"name": "Florist"}
    assert secret not in json.dumps([entry.details for entry in entries])
    assert {entry.partner_id for entry in entries} == {partner.pk}


def test_a_secret_deep_in_a_body_is_not_kept(partner):
    """A plan of a configuration is carried out, and refuses the secret that somebody wrote into it."""
    make.clients.top_level(partner)
    secret = "s3cr3tPrivateKey99"
    connection = {"kind": "connectwise", "login_company": "northwind", "secret": secret}
    document = {"version": 1, "organizations": {partner.name: {"connection": connection}}}
    answer = make.api(make.token(partner)).post("/api/v1/config/plan", document, format="json")
    assert answer.status_code == 200, answer.content
    text = json.dumps([entry.details for entry in AuditEntry.objects.all()])
    assert "northwind" in text
    assert secret not in text
    listed = {"connections": [{"name": "a", "headers": {"Authorization": secret}}, [{"api_key": secret}]]}
    assert secret not in json.dumps(audit.typed(listed))
    deep: Any = {"name": secret}
    for _ in range(5000):
        deep = [deep]
    assert secret not in json.dumps(audit.typed({"x": deep}))


def test_what_was_refused_or_is_intake_is_not_a_change(partner, manager):
    api = make.api(make.token(partner))
    api.post("/api/v1/events", make.event(), format="json")
    api.post("/api/v1/clients", {"name": ""}, format="json")
    browser_of(make.user(partner, role=Role.VIEWER)).post(reverse("token_new"), {"name": "x"})
    assert not AuditEntry.objects.exists()


def test_the_chain_holds_and_every_tampering_is_named(partner):
    for number in range(6):
        audit.note(f"step {number}", actor="me", partner_id=partner.pk, details={"n": number})
    assert list(audit.verify(partner.pk)) == []
    rows = AuditEntry.objects.filter(partner_id=partner.pk)
    for tamper, number, words in (
        (lambda: rows.filter(number=3).update(actor="somebody else"), 3, "was edited"),
        (lambda: rows.filter(number=4).update(at=clock.now() - timedelta(days=1)), 4, "was edited"),
        (lambda: rows.filter(number=2).delete(), 2, "entries 2 to 2 are missing"),
        (lambda: rows.filter(number=6).delete(), 6, "missing at the end"),
        (lambda: AuditChain.objects.update(hash="0" * 64), 7, "missing at the end"),
        (lambda: swap(rows), 2, "does not follow"),
    ):
        with transaction.atomic():
            tamper()
            found = [(place.number, place.text) for place in audit.verify(partner.pk)]
            transaction.set_rollback(True)
        assert any(place == number and words in text for place, text in found), (number, found)


def swap(rows: Any) -> None:
    """Two entries change places, numbers included."""
    rows.filter(number=2).update(number=99)
    rows.filter(number=3).update(number=2)
    rows.filter(number=99).update(number=3)


def test_the_command_tells_and_fails(partner, capsys):
    audit.note("one", actor="me", partner_id=partner.pk)
    call_command("verifyaudit")
    assert "The audit log holds" in capsys.readouterr().out
    AuditEntry.objects.update(target="elsewhere")
    with pytest.raises(CommandError):
        call_command("verifyaudit")
    assert "was edited" in capsys.readouterr().out


STATEMENTS = {
    "ORM update": lambda: AuditEntry.objects.update(actor="x"),
    "ORM delete": lambda: AuditEntry.objects.all().delete(),
    "SQL update": lambda: connection.cursor().execute("UPDATE portal_auditentry SET actor = 'x'"),
    "SQL delete": lambda: connection.cursor().execute("DELETE FROM portal_auditentry"),
    "truncate": lambda: connection.cursor().execute("TRUNCATE portal_auditentry"),
}


@pytest.mark.parametrize("statement", STATEMENTS)
def test_the_database_refuses_to_change_the_log(partner, statement):
    audit.note("one", actor="me", partner_id=partner.pk)
    audittriggers.install(connection)
    with pytest.raises(DatabaseError), transaction.atomic():
        STATEMENTS[statement]()
    audit.note("two", actor="me", partner_id=partner.pk)
    assert list(audit.verify(partner.pk)) == []
    audittriggers.remove(connection)


def test_the_migration_installs_them(partner):
    migration = importlib.import_module("portal.migrations.0003_audit_log").Migration
    migration.operations[-1].code(None, SimpleNamespace(connection=connection))
    audit.note("one", actor="me", partner_id=partner.pk)
    with pytest.raises(DatabaseError), transaction.atomic():
        AuditEntry.objects.update(actor="x")
    audittriggers.remove(connection)


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite's tests share one connection")
@pytest.mark.django_db(transaction=True)
def test_many_writers_make_one_chain():
    chain = uuid.uuid4()

    def write(number: int) -> None:
        audit.note(f"step {number}", actor="me", partner_id=chain)
        connection.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert AuditEntry.objects.filter(partner_id=chain).count() == 8
    assert list(audit.verify(chain)) == []
    assert Client.objects.count() == 0


def test_a_character_that_no_database_takes_keeps_nothing_out_of_the_log(world: make.World) -> None:
    make.user(world.partner)
    membership = Membership.objects.get(user=make.user(world.partner))
    browser = Browser()
    browser.force_login(make.user(world.partner))
    asked = {"role": "partner_viewer", "more": "\x00"}
    assert browser.post(reverse("person_change", args=[membership.pk]), asked).status_code == 302
    entry = AuditEntry.objects.get(action="post person_change")
    assert entry.details == {"role": "partner_viewer", "more": "�"}
    told = audit.note("x", actor="x", partner_id=world.partner.pk, details={"\ud800": ["\ud800", {"a": 1}]})
    told.refresh_from_db()
    assert told.details == {"?": ["?", {"a": 1}]}
    assert list(audit.verify(world.partner.pk)) == []
