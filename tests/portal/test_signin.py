"""Signing in, second factors, confirming, sign-ins: what people can do, and what attackers cannot (A13, A14, A15)."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import threading
import time
from datetime import date, timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value
from cryptography.fernet import Fernet
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client as Browser
from django.urls import reverse

from portal import clock, configuration, keys, secondfactor, sessions, throttle
from portal.models import AuditEntry, Membership, Partner, Role, SignIn, Tries, User
from portal.throttle import Try
from tests import make

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"


@pytest.fixture
def partner() -> Partner:
    make.catalogues()
    return make.partner()


@pytest.fixture
def manager(partner: Partner) -> User:
    return make.user(partner, email="manager@northwind.example")


@pytest.fixture
def viewer(partner: Partner) -> User:
    return make.user(partner, email="viewer@northwind.example", role=Role.VIEWER)


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    return Hands(monkeypatch)


class Hands:
    """Turns the clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch, self.real, self.moved = monkeypatch, clock.now, timedelta()

    def forward(self, **time_: float) -> None:
        self.moved += timedelta(**time_)
        self.monkeypatch.setattr(clock, "now", lambda: self.real() + self.moved)


def browser_of(person: User) -> Browser:
    found = Browser()
    found.force_login(person)
    return found


def text_of(answer: Any) -> str:
    return answer.content.decode()


def try_password(
    browser: Browser, password: str, *, email: str = "manager@northwind.example", **more: Any
) -> Any:
    return browser.post(reverse("account_login"), {"login": email, "password": password}, **more)


def code_now(secret: str, steps: int = 0) -> str:
    return format_hotp_value(hotp_value(secret, int(clock.now().timestamp()) // 30 + steps))


SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def give_app(person: User) -> Authenticator:
    return TOTP.activate(person, SECRET).instance


def give_codes(person: User) -> list[str]:
    return RecoveryCodes.activate(person).get_unused_codes()


def is_in(browser: Browser) -> bool:
    return browser.get(reverse("dashboard")).status_code == 200


# --- Enrolment --------------------------------------------------------------------------------------------------------


def enrol(browser: Browser) -> Any:
    page = browser.get(reverse("mfa_activate_totp"))
    secret = re.search(r'id="factor-secret">([A-Z2-7 ]+)<', text_of(page))[1].replace(" ", "")
    return browser.post(reverse("mfa_activate_totp"), {"code": code_now(secret)}, follow=True)


def test_an_app_is_set_up_by_qr_code_or_text_and_its_codes_are_shown_once(manager):
    browser = browser_of(manager)
    assert "data:image/svg+xml;base64," in text_of(browser.get(reverse("mfa_activate_totp")))
    shown = text_of(enrol(browser))
    assert len(re.findall(r"<code>\d{8}</code>", shown)) == 10
    assert "data:text/plain" in shown
    again = text_of(browser.get(reverse("mfa_view_recovery_codes")))
    assert not re.findall(r"\d{8}", again.split("</main>")[0].split("<main")[1])
    assert "10 codes 10 are left" in again


def test_no_secret_of_a_factor_lies_in_the_database_in_plain_text(manager):
    browser = browser_of(manager)
    page = text_of(browser.get(reverse("mfa_activate_totp")))
    secret = re.search(r'id="factor-secret">([A-Z2-7 ]+)<', page)[1].replace(" ", "")
    pending = " ".join(str(row.get_decoded()) for row in Session.objects.all())
    assert secret not in pending
    browser.post(reverse("mfa_activate_totp"), {"code": code_now(secret)})
    app, codes = Authenticator.objects.get(type="totp"), Authenticator.objects.get(type="recovery_codes")
    assert app.data["secret"].startswith("gAAAA")
    assert codes.data["seed"].startswith("gAAAA")


def test_rotating_the_keys_takes_factors_along(manager, settings):
    app, codes = give_app(manager), give_codes(manager)
    before = app.data["secret"]
    fresh = Fernet.generate_key().decode()
    keys.verify()
    settings.FIELD_ENCRYPTION_KEY = [fresh, *settings.FIELD_ENCRYPTION_KEY]
    keys.rotate()
    settings.FIELD_ENCRYPTION_KEY = [fresh]
    app.refresh_from_db()
    assert app.data["secret"] != before
    assert secondfactor.accepts(app, code_now(SECRET))
    assert Authenticator.objects.get(type="recovery_codes").wrap().get_unused_codes() == codes


def test_the_person_is_told_by_mail_and_the_partner_reads_it_in_the_log(
    partner, manager, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        enrol(browser_of(manager))
    assert "A second factor was added to your sign-in" in [sent.subject for sent in mail.outbox]
    assert AuditEntry.objects.filter(partner_id=partner.pk, action="second factor added").exists()


# --- A15: codes once, step-up not bypassed ----------------------------------------------------------------------------


def test_A15_the_password_alone_does_not_open_the_door(manager):
    give_app(manager)
    browser = Browser()
    answer = try_password(browser, PASSWORD)
    assert answer["Location"] == reverse("mfa_authenticate")
    assert not is_in(browser)
    assert browser.post(reverse("mfa_authenticate"), {"code": code_now(SECRET)})["Location"] == "/"
    assert is_in(browser)


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_A15_a_code_is_used_once_whatever_browser_it_comes_from(manager, steps):
    give_app(manager)
    code = code_now(SECRET, steps)
    answers = []
    for _ in range(2):
        browser = Browser()
        try_password(browser, PASSWORD)
        browser.post(reverse("mfa_authenticate"), {"code": code})
        answers.append(is_in(browser))
    assert answers == [True, False]


def test_A15_an_older_code_is_dead_once_a_newer_one_was_used(manager):
    app = give_app(manager)
    assert secondfactor.accepts(app, code_now(SECRET, 1))
    assert not secondfactor.accepts(app, code_now(SECRET, 0))


@pytest.mark.parametrize("code", ["000000", "", "۱۲۳۴۵۶", "1" * 10_000, "12345", "<b>", "٠٠٠٠٠٠"])
def test_A15_what_is_no_code_is_refused_in_words(manager, code):
    give_app(manager)
    browser = Browser()
    try_password(browser, PASSWORD)
    answer = browser.post(reverse("mfa_authenticate"), {"code": code})
    assert answer.status_code == 200
    assert not is_in(browser)


NO_CREDENTIALS = [
    "[]",
    "{}",
    "1",
    "null",
    '""',
    "nonsense",
    '{"id": 1}',
    '{"response": {"userHandle": null}}',
]
HALF = '{"id": "AA", "rawId": "AA", "type": "public-key", "response": %s}'
ODD = [
    HALF % '{"clientDataJSON": "AA", "authenticatorData": "AA", "signature": "AA", "userHandle": %s}' % handle
    for handle in ('"AA"', "null", "[]", '"not base64 \\u0000"', '"bm9ib2R5"')
]


@pytest.mark.parametrize("credential", [*NO_CREDENTIALS, *ODD])
@pytest.mark.parametrize("name", ["mfa_login_webauthn", "mfa_authenticate", "mfa_add_webauthn"])
def test_A15_what_is_no_passkey_is_refused_in_words(manager, name, credential):
    browser = Browser()
    if name == "mfa_add_webauthn":
        browser.force_login(manager)
    elif name == "mfa_authenticate":
        give_app(manager)
        try_password(browser, PASSWORD)
    browser.get(reverse(name), headers={"Accept": "application/json"})
    answer = browser.post(reverse(name), {"credential": credential})
    assert answer.status_code in {200, 302}
    assert not Authenticator.objects.filter(type="webauthn").exists()
    assert name == "mfa_add_webauthn" or not is_in(browser)


@pytest.mark.parametrize("email", ["a\x00b@x.example", "x" * 10_000, "\ud800@x.example", "", "Ⓐ@x.example"])
def test_odd_addresses_are_refused_in_words(db, email):
    assert (
        try_password(Browser(), "wrong", email=email.encode("utf-8", "replace").decode()).status_code == 200
    )


def test_A15_a_recovery_code_opens_once(manager):
    give_app(manager)
    code = give_codes(manager)[3]
    answers = []
    for _ in range(2):
        browser = Browser()
        try_password(browser, PASSWORD)
        browser.post(reverse("mfa_authenticate"), {"code": f"{code[:4]}-{code[4:]}"})
        answers.append(is_in(browser))
    assert answers == [True, False]


def test_A15_another_persons_code_opens_nothing(manager, viewer):
    give_app(manager)
    TOTP.activate(viewer, "KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU")
    browser = Browser()
    try_password(browser, PASSWORD)
    browser.post(reverse("mfa_authenticate"), {"code": code_now("KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU")})
    assert not is_in(browser)


STEPPED = {
    "token_new": {"name": "Backup", "scopes": ["events:write"], "days": "90"},
    "person_new": {"email": "new@northwind.example", "role": Role.VIEWER.value},
    "second_factor_policy": {"must": "on", "since": "2027-01-01"},
    "mfa_generate_recovery_codes": {},
    "account_change_password": {"oldpassword": PASSWORD, "password1": "x" * 20, "password2": "x" * 20},
    "mfa_deactivate_totp": {},
}


@pytest.mark.parametrize("name", STEPPED)
def test_A15_nothing_about_who_gets_in_is_changed_by_a_session_that_is_old(manager, hands, name):
    give_app(manager)
    browser = browser_of(manager)
    before = (manager.password, Authenticator.objects.count(), Membership.objects.count())
    hands.forward(minutes=16)
    answer = browser.post(reverse(name), STEPPED[name])
    assert answer["Location"].startswith(reverse("mfa_reauthenticate"))
    manager.refresh_from_db()
    manager.partner_ids  # noqa: B018
    partner = Partner.objects.get()
    after = (manager.password, Authenticator.objects.count(), Membership.objects.count())
    assert after == before
    assert (partner.tokens.count(), partner.second_factor_from) == (0, None)


def test_A15_who_has_a_factor_does_not_confirm_with_the_password(manager, hands):
    give_app(manager)
    browser = browser_of(manager)
    hands.forward(minutes=16)
    browser.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    answer = browser.post(reverse("token_new"), STEPPED["token_new"])
    assert answer["Location"].startswith(reverse("mfa_reauthenticate"))


def test_after_confirming_one_is_back_and_may(manager, hands):
    browser = browser_of(manager)
    hands.forward(minutes=16)
    asked = browser.post(reverse("token_new"), STEPPED["token_new"])
    assert asked["Location"].startswith(reverse("account_reauthenticate"))
    answer = browser.post(asked["Location"], {"password": PASSWORD, "next": reverse("team")})
    assert answer["Location"] == reverse("team")
    assert "psap_" in text_of(browser.post(reverse("token_new"), STEPPED["token_new"]))


@pytest.mark.parametrize("name", ["configuration_apply", "change_connection"])
def test_A15_people_and_keys_are_not_changed_by_another_door_either(world, hands, name):
    browser = browser_of(make.user(world.partner))
    document = "version: 1\nteam:\n  evil@evil.example: {role: partner_senior_manager}\n"
    expect = configuration.export(world.partner).digest
    hands.forward(minutes=16)
    where = reverse(name, args=[world.credentials.pk] if name == "change_connection" else [])
    answer = browser.post(where, {"document": document, "expect": expect, "do": "prepare"})
    assert answer.status_code == 302
    assert answer["Location"].startswith(reverse("account_reauthenticate"))
    assert Membership.objects.count() == 1


def test_nobody_types_keys_of_another_psa_as_somebody_else(world):
    membership = Membership.objects.get(user=make.user(world.partner))
    browser = browser_of(make.user(None, is_staff=True))
    asked = {"person": membership.pk, "reason": "x", "case": "C-1", "may_write": "on"}
    browser.post(reverse("impersonate", args=[world.partner.pk]), asked)
    answer = browser.post(reverse("change_connection", args=[world.credentials.pk]), {"do": "prepare"})
    assert (answer.status_code, answer.url) == (302, reverse("dashboard"))


def test_staff_confirm_before_they_look_as_somebody(partner, manager, hands):
    staff = make.user(None, email="staff@vendor.example", is_staff=True)
    browser = browser_of(staff)
    hands.forward(minutes=16)
    membership = Membership.objects.get(user=manager)
    asked = {"person": membership.pk, "reason": "mapping", "case": "C-1"}
    answer = browser.post(reverse("impersonate", args=[partner.pk]), asked)
    assert answer["Location"].startswith(reverse("account_reauthenticate"))
    assert "impersonation" not in browser.session


@pytest.mark.parametrize(
    "name", ["admin:portal_apitoken_add", "admin:portal_user_add", "admin:password_change"]
)
def test_staff_confirm_in_the_admin_too(hands, name):
    browser = browser_of(make.user(None, is_staff=True, is_superuser=True))
    hands.forward(minutes=16)
    assert browser.get(reverse(name))["Location"].startswith(reverse("account_reauthenticate"))


# --- Who must ---------------------------------------------------------------------------------------------------------


def demand(partner: Partner, days: int) -> None:
    Partner.objects.filter(pk=partner.pk).update(second_factor_from=clock.now().date() + timedelta(days=days))


def test_who_must_and_has_none_is_led_to_setting_one_up_before_anything_else(partner, viewer):
    demand(partner, 0)
    browser = browser_of(viewer)
    answer = browser.get(reverse("clients") + "?q=x")
    assert answer["Location"] == f"{reverse('mfa_index')}?next=%2Fclients%3Fq%3Dx"
    assert "asks for a second factor" in text_of(browser.get(reverse("mfa_index")))
    enrol(browser)
    assert is_in(browser)


def test_before_the_day_people_are_told_and_go_on(partner, viewer):
    demand(partner, 7)
    assert "Set one up now" in text_of(browser_of(viewer).get(reverse("clients")))


def test_tokens_of_machines_need_no_second_factor(partner):
    demand(partner, 0)
    assert make.api(make.token(partner)).get("/api/v1/clients").status_code == 200


def test_a_manager_demands_it_and_the_log_says_so(partner, manager):
    browser_of(manager).post(reverse("second_factor_policy"), {"must": "on", "since": "2027-01-01"})
    partner.refresh_from_db()
    assert partner.second_factor_from == date(2027, 1, 1)
    entry = AuditEntry.objects.get(action="second factor demanded")
    assert (entry.partner_id, entry.details) == (partner.pk, {"from": "2027-01-01"})


def test_a_demand_needs_a_day_and_a_manager(partner, manager, viewer):
    assert "Say from which day on" in text_of(
        browser_of(manager).post(reverse("second_factor_policy"), {"must": "on"})
    )
    assert (
        browser_of(viewer).post(reverse("second_factor_policy"), STEPPED["second_factor_policy"]).status_code
        == 403
    )
    partner.refresh_from_db()
    assert partner.second_factor_from is None


@pytest.mark.parametrize("path", ["/admin/", "/admin/portal/user/", "/clients", "/partners"])
def test_staff_need_one_in_the_admin_as_well(settings, path):
    settings.STAFF_SECOND_FACTOR = True
    browser = browser_of(make.user(None, is_staff=True, is_superuser=True))
    assert browser.get(path)["Location"].startswith(reverse("mfa_index"))


@pytest.mark.parametrize(
    ("environment", "expected"), [({}, "True"), ({"STAFF_SECOND_FACTOR": "false"}, "False")]
)
def test_in_production_staff_need_one_unless_told_otherwise(environment, expected):
    production = {**os.environ, "DEBUG": "false", "SECRET_KEY": "x" * 50, "FIELD_ENCRYPTION_KEYS": "x" * 44}
    asked = [sys.executable, "-c", "from portal import settings; print(settings.STAFF_SECOND_FACTOR)"]
    told = subprocess.run(
        asked, env={**production, **environment}, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == expected


# --- A lost factor ----------------------------------------------------------------------------------------------------


def test_a_manager_takes_a_lost_factor_away_with_a_reason(
    partner, manager, viewer, django_capture_on_commit_callbacks
):
    give_app(viewer)
    theirs = browser_of(viewer)
    page = reverse("person_reset_factor", args=[Membership.objects.get(user=viewer).pk])
    browser_of(manager).post(page, {"reason": ""})
    assert Authenticator.objects.filter(user=viewer).exists()
    with django_capture_on_commit_callbacks(execute=True):
        browser_of(manager).post(page, {"reason": "phone stolen, called back"})
    assert not Authenticator.objects.filter(user=viewer).exists()
    assert not is_in(theirs)
    assert (
        AuditEntry.objects.get(action="second factor reset").details["reason"] == "phone stolen, called back"
    )
    sent = mail.outbox[-1]
    assert (sent.to, sent.subject) == ([viewer.email], "Your second factor was taken away")
    assert "phone stolen" in sent.body


def test_nobody_opens_another_partners_doors_by_taking_a_factor_away(partner, manager, viewer):
    Membership.objects.create(partner=make.partner("Tailspin"), user=viewer, role=Role.SENIOR_MANAGER)
    give_app(viewer)
    page = reverse("person_reset_factor", args=[Membership.objects.get(user=viewer, partner=partner).pk])
    shown = text_of(browser_of(manager).post(page, {"reason": "asked me"}, follow=True))
    assert "works for other partners too" in shown
    assert Authenticator.objects.filter(user=viewer).exists()


@pytest.mark.parametrize("who", ["viewer", "stranger"])
def test_only_managers_take_factors_away(partner, manager, viewer, who):
    give_app(manager)
    asking = viewer if who == "viewer" else make.user(make.partner("Tailspin"))
    page = reverse("person_reset_factor", args=[Membership.objects.get(user=manager).pk])
    answer = browser_of(asking).post(page, {"reason": "x"})
    assert answer.status_code == (403 if who == "viewer" else 404)
    assert Authenticator.objects.filter(user=manager).exists()


def test_staff_who_lost_theirs_are_helped_from_the_command_line(capsys):
    staff = make.user(None, email="staff@vendor.example", is_staff=True)
    give_app(staff)
    give_codes(staff)
    call_command("resetfactor", "Staff@vendor.example", reason="phone lost, spoke to her")
    assert "2 factors" in capsys.readouterr().out
    assert not Authenticator.objects.exists()
    assert AuditEntry.objects.get().details == {"reason": "phone lost, spoke to her", "factors": 2}
    with pytest.raises(CommandError, match="Nobody signs in as"):
        call_command("resetfactor", "nobody@vendor.example", reason="x")


@pytest.mark.parametrize("name", ["mfa_index", "mfa_activate_totp", "sign_ins", "account_change_password"])
def test_impersonation_reaches_nothing_of_it(partner, manager, name):
    staff = make.user(None, email="staff@vendor.example", is_staff=True)
    browser = browser_of(staff)
    asked = {
        "person": Membership.objects.get(user=manager).pk,
        "reason": "x",
        "case": "C-1",
        "may_write": "on",
    }
    browser.post(reverse("impersonate", args=[partner.pk]), asked)
    for answer in (browser.get(reverse(name)), browser.post(reverse(name), {})):
        assert answer["Location"] == reverse("dashboard")


# --- A13: sign-ins ----------------------------------------------------------------------------------------------------


def test_one_sees_where_one_is_signed_in_and_ends_it(manager):
    there = browser_of(manager)
    here = Browser(headers={"User-Agent": FIREFOX}, REMOTE_ADDR="203.0.113.7")
    try_password(here, PASSWORD)
    shown = text_of(here.get(reverse("sign_ins")))
    assert "Firefox on Linux" in shown
    assert "203.0.113.7" in shown
    assert shown.count("This one") == 1
    other = sessions.open_of(manager).exclude(pk=here.session["sign_in"]["id"]).get()
    here.post(reverse("sign_in_end", args=[other.pk]))
    assert (is_in(here), is_in(there)) == (True, False)


def test_all_others_are_ended_at_once(manager):
    here, *others = (browser_of(manager) for _ in range(4))
    here.post(reverse("sign_ins_end_others"))
    assert [is_in(browser) for browser in (here, *others)] == [True, False, False, False]


def test_nobody_ends_somebody_elses_sign_in(manager, viewer):
    theirs = browser_of(manager)
    row = SignIn.objects.get(user=manager)
    assert browser_of(viewer).post(reverse("sign_in_end", args=[row.pk])).status_code == 404
    assert is_in(theirs)


def test_A13_a_changed_password_ends_all_other_browsers(manager):
    here, there = browser_of(manager), browser_of(manager)
    new = "quite another horse"
    here.post(
        reverse("account_change_password"), {"oldpassword": PASSWORD, "password1": new, "password2": new}
    )
    assert (is_in(here), is_in(there)) == (True, False)
    assert sessions.open_of(manager).count() == 1


@pytest.mark.parametrize(
    ("minutes", "text"), [(31, "30 minutes without a click"), (12 * 60 + 1, "a sign-in lasts 12 hours")]
)
def test_A13_a_sign_in_ends_by_itself(manager, hands, minutes, text):
    browser = browser_of(manager)
    for _ in range(minutes // 20):
        if minutes > 60:
            hands.forward(minutes=20)
            browser.get(reverse("clients"))
    if minutes < 60:
        hands.forward(minutes=minutes)
    shown = text_of(browser.get(reverse("clients"), follow=True))
    assert "Password forgotten?" in shown
    if minutes < 60:
        assert text in shown


def test_A13_the_session_has_another_key_after_signing_in_and_dies_with_signing_out(manager):
    browser = Browser()
    browser.get(reverse("account_login"))
    browser.post(reverse("account_reset_password_from_key", args=["x", "y-z"]))
    before = browser.cookies.get("sessionid")
    try_password(browser, PASSWORD)
    cookie = browser.cookies["sessionid"].value
    assert before is None or before.value != cookie
    browser.post(reverse("account_logout"))
    thief = Browser()
    thief.cookies["sessionid"] = cookie
    assert not is_in(thief)
    assert not sessions.open_of(manager).exists()


def test_A13_ending_reaches_a_session_whose_key_was_changed_by_impersonating(partner, manager):
    staff = make.user(None, email="staff@vendor.example", is_staff=True)
    browser = browser_of(staff)
    asked = {"person": Membership.objects.get(user=manager).pk, "reason": "x", "case": "C-1"}
    browser.post(reverse("impersonate", args=[partner.pk]), asked)
    assert "Stop Impersonating" in text_of(browser.get(reverse("clients")))
    sessions.end(staff.sign_ins.all())
    assert not is_in(browser)


def test_who_is_taken_out_loses_access_at_once(partner, manager, viewer):
    theirs = browser_of(viewer)
    client = make.clients.add_client(partner, name="Bakery Otto", number=19652)
    assert theirs.get(reverse("client", args=[client.pk])).status_code == 200
    row = Membership.objects.get(user=viewer)
    browser_of(manager).post(reverse("person_change", args=[row.pk]), {"remove": "1"})
    assert theirs.get(reverse("client", args=[client.pk])).status_code == 404


def test_a_manager_signs_a_member_out(manager, viewer):
    theirs = browser_of(viewer)
    browser_of(manager).post(reverse("person_sign_out", args=[Membership.objects.get(user=viewer).pk]))
    assert not is_in(theirs)


def test_being_looked_at_is_noted_once_a_minute(manager, hands, django_assert_max_num_queries):
    browser = browser_of(manager)
    hands.forward(seconds=30)
    browser.get(reverse("sign_ins"))
    assert SignIn.objects.get().seen_at < clock.now() - timedelta(seconds=20)
    hands.forward(seconds=31)
    browser.get(reverse("sign_ins"))
    assert SignIn.objects.get().seen_at > clock.now() - timedelta(seconds=20)


# --- A14: guessing ----------------------------------------------------------------------------------------------------


def test_A14_a_thousand_passwords_are_not_looked_at(manager, hands):
    answers = []
    for number in range(1000):
        answers.append(try_password(Browser(), f"guess {number}").status_code)
        hands.forward(seconds=3.6)
    looked_at = answers.count(200)
    sys.stdout.write(
        f"1,000 passwords in an hour, one account, one address: {looked_at} looked at, {answers.count(429)} refused\n"
    )
    assert looked_at <= 12
    hands.forward(minutes=16)
    assert try_password(Browser(), PASSWORD)["Location"] == "/"


def test_A14_the_refusal_says_when_and_comes_before_the_right_password_too(manager):
    for _ in range(5):
        try_password(Browser(), "wrong")
    answer = try_password(Browser(), PASSWORD)
    assert answer.status_code == 429
    assert 1 <= int(answer["Retry-After"]) <= 60
    assert "Try again in a minute" in text_of(answer)


def test_A14_strangers_do_not_lock_anybody_out(manager):
    try_password(Browser(), PASSWORD, REMOTE_ADDR="203.0.113.7")
    for number in range(300):
        try_password(Browser(), "wrong", REMOTE_ADDR=f"198.51.100.{number % 250}")
    assert try_password(Browser(), PASSWORD, REMOTE_ADDR="198.51.100.251").status_code == 429
    assert try_password(Browser(), PASSWORD, REMOTE_ADDR="203.0.113.7").status_code == 302


def test_A14_one_address_does_not_try_all_accounts(manager):
    answers = [try_password(Browser(), "wrong", email=f"p{n}@x.example").status_code for n in range(100)]
    assert answers.count(200) == 60
    assert try_password(Browser(), PASSWORD).status_code == 429
    assert try_password(Browser(), PASSWORD, REMOTE_ADDR="203.0.113.7").status_code == 302


def test_A14_a_thousand_codes_are_not_looked_at(manager, monkeypatch):
    give_app(manager)
    looked = []
    monkeypatch.setattr(secondfactor, "accepts", lambda row, code: looked.append(code))
    browser = Browser()
    try_password(browser, PASSWORD)
    answers = [
        browser.post(reverse("mfa_authenticate"), {"code": f"{n:06}"}).status_code for n in range(1000)
    ]
    assert (len(looked), answers.count(429)) == (5, 995)
    other = Browser()
    try_password(other, PASSWORD)
    assert (
        other.post(reverse("mfa_authenticate"), {"code": "1"}, REMOTE_ADDR="203.0.113.7").status_code == 429
    )


def test_A14_a_thousand_tokens_are_refused_and_good_ones_from_there_are_not(partner):
    good = make.token(partner)
    answers = [make.api(f"psap_{n:043}").get("/api/v1/clients").status_code for n in range(1000)]
    assert (answers.count(401), answers.count(429)) == (100, 900)
    assert make.api("psap_x").get("/api/v1/clients")["Retry-After"]
    assert make.api(good).get("/api/v1/clients").status_code == 200


def test_A14_confirming_is_counted_as_well(manager, hands):
    browser = browser_of(manager)
    hands.forward(minutes=16)
    answers = [
        browser.post(reverse("account_reauthenticate"), {"password": "wrong"}).status_code for _ in range(7)
    ]
    assert answers == [200] * 5 + [429] * 2


def test_A23_what_a_caller_writes_into_forwarded_for_is_not_believed(rf, settings):
    asked = rf.get("/", headers={"X-Forwarded-For": "1.2.3.4, 198.51.100.9"}, REMOTE_ADDR="10.0.0.1")
    assert throttle.address_of(asked) == "10.0.0.1"
    settings.TRUSTED_PROXIES = 1
    assert throttle.address_of(asked) == "198.51.100.9"
    asked = rf.get("/", headers={"X-Forwarded-For": "nonsense"}, REMOTE_ADDR="2001:db8:1:2:3::4")
    assert throttle.address_of(asked) == "2001:db8:1:2::"


def test_staff_see_who_is_kept_out_and_lift_it(manager):
    for _ in range(5):
        try_password(Browser(), "wrong")
    row = Tries.objects.get(kind="password")
    staff = browser_of(make.user(None, is_staff=True, is_superuser=True))
    page = reverse("admin:portal_tries_changelist")
    assert "manager@northwind.example" in text_of(staff.get(page))
    staff.post(page, {"action": "lift", "_selected_action": [row.pk]})
    assert try_password(Browser(), PASSWORD).status_code == 302


def test_the_bucket_leaks_and_each_further_try_closes_for_longer(db, hands):
    one = Try("factor", "somebody")
    assert [throttle.take(one) for _ in range(5)] == [0] * 5
    waits = []
    for _ in range(6):
        waits.append(round(throttle.take(one) / 60))
        hands.forward(seconds=throttle.take(one))
        assert throttle.take(one) == 0
    assert waits == [1, 2, 4, 8, 15, 15]


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite's tests share one connection")
def test_A14_tries_at_the_same_moment_are_no_more_than_one_after_the_other():
    waits = at_the_same_moment(
        40, lambda: throttle.take(Try("factor", "somebody"), Try("address", "203.0.113.7"))
    )
    assert (waits.count(0), len(waits)) == (5, 40)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite's tests share one connection")
def test_A15_of_many_requests_with_the_same_code_one_passes():
    person = make.user(None)
    give_app(person)
    code = code_now(SECRET)

    def enter() -> bool:
        form = secondfactor.SignInCode({"code": code}, user=person)
        return form.is_valid()

    assert at_the_same_moment(8, enter).count(True) == 1


def at_the_same_moment(count: int, act: Any) -> list[Any]:
    together, answers = threading.Barrier(count), []

    def run() -> None:
        together.wait()
        try:
            answers.append(act())
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


# --- Passwords --------------------------------------------------------------------------------------------------------


def ask_for_a_link(browser: Browser, email: str) -> Any:
    return browser.post(reverse("account_reset_password"), {"email": email})


@pytest.fixture
def at_once(django_capture_on_commit_callbacks: Any) -> Any:
    return lambda: django_capture_on_commit_callbacks(execute=True)


def test_a_forgotten_password_is_replaced_once_and_ends_every_sign_in(manager, at_once):
    there = browser_of(manager)
    with at_once():
        ask_for_a_link(Browser(), "Manager@Northwind.example")
    link = re.search(r"https?://[^/]+(/accounts/password/reset/key/\S+)", mail.outbox[0].body)[1]
    browser = Browser()
    form = browser.get(link, follow=True).redirect_chain[-1][0]
    new = {"password1": "quite another horse", "password2": "quite another horse"}
    assert browser.post(form, new)["Location"] == reverse("account_reset_password_from_key_done")
    assert not is_in(there)
    assert not is_in(browser)
    assert "no longer works" in text_of(Browser().get(link))
    assert try_password(Browser(), "quite another horse").status_code == 302


def test_a_new_password_does_not_go_round_the_second_factor(manager, at_once):
    give_app(manager)
    with at_once():
        ask_for_a_link(Browser(), manager.email)
    link = re.search(r"(/accounts/password/reset/key/\S+)", mail.outbox[0].body)[1]
    browser = Browser()
    form = browser.get(link, follow=True).redirect_chain[-1][0]
    browser.post(form, {"password1": "quite another horse", "password2": "quite another horse"})
    assert not is_in(browser)
    assert try_password(browser, "quite another horse")["Location"] == reverse("mfa_authenticate")


def test_A14_asking_for_a_link_tells_nobody_who_exists(manager, at_once):
    with at_once():
        known, unknown = (ask_for_a_link(Browser(), email) for email in (manager.email, "nobody@x.example"))
    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])
    assert [sent.to for sent in mail.outbox] == [[manager.email]]


def test_A14_how_long_a_no_takes_for_people_we_know_and_others(manager, settings, capsys):
    """Measured and printed, not asserted: a machine under load would lie."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
    manager.set_password(PASSWORD)
    manager.save()
    took: dict[str, list[float]] = {}
    for _ in range(9):
        for name, email in (("known", manager.email), ("unknown", "nobody@x.example")):
            Tries.objects.all().delete()
            begun = time.perf_counter()
            try_password(Browser(), "wrong", email=email)
            took.setdefault(name, []).append((time.perf_counter() - begun) * 1000)
    known, unknown = (statistics.median(took[name]) for name in ("known", "unknown"))
    with capsys.disabled():
        sys.stdout.write(
            f"\nwrong password, median: known {known:.1f} ms, unknown {unknown:.1f} ms, apart {known - unknown:+.1f}\n"
        )


def test_a_mail_server_that_is_down_costs_nobody_a_page(manager, at_once, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    with at_once():
        assert ask_for_a_link(Browser(), manager.email).status_code == 302


def test_one_address_is_not_flooded_with_mails(manager, at_once):
    with at_once():
        answers = [ask_for_a_link(Browser(), manager.email).status_code for _ in range(10)]
    assert answers == [302] * 10
    assert len(mail.outbox) == 5


def test_the_link_is_ours_whatever_host_the_caller_names(manager, at_once, settings):
    settings.ALLOWED_HOSTS = ["*"]
    settings.PORTAL_URL = "https://portal.vendor.example"
    with at_once():
        Browser().post(reverse("account_reset_password"), {"email": manager.email}, HTTP_HOST="evil.example")
    assert "evil.example" not in mail.outbox[0].body
    assert "https://portal.vendor.example/accounts/" in mail.outbox[0].body


# --- There and back ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "http:evil",
        "javascript:alert(1)",
        "https://testserver/clients",
    ],
)
def test_A23_next_stays_here(manager, target):
    answer = Browser().post(
        f"{reverse('account_login')}?next={target}",
        {"login": manager.email, "password": PASSWORD, "next": target},
    )
    assert answer["Location"] == "/"


def test_a_page_is_found_again_after_signing_in(manager):
    asked = Browser().get("/clients?q=ott")
    answer = Browser().post(
        asked["Location"], {"login": manager.email, "password": PASSWORD, "next": "/clients?q=ott"}
    )
    assert answer["Location"] == "/clients?q=ott"


def test_a_form_sent_too_late_leads_back_to_its_page_and_changes_nothing(manager):
    late = Browser()
    answer = late.post(
        reverse("token_new"), STEPPED["token_new"], headers={"Referer": "http://testserver/partnership/team"}
    )
    assert answer["Location"] == f"{reverse('account_login')}?next=%2Fpartnership%2Fteam"
    assert "Nothing was changed" in text_of(late.get(answer["Location"]))


def test_a_part_of_a_page_that_comes_too_late_sends_the_whole_page_to_sign_in(manager):
    answer = Browser().get(
        "/clients", headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/events?q=1"}
    )
    assert answer["HX-Redirect"] == f"{reverse('account_login')}?next=%2Fevents%3Fq%3D1"
