"""Team, tokens and the audit log over REST: a token never comes by more than whoever made it may."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import transaction

from portal import audit, auditapi, clock, sessions
from portal.models import ApiToken, AuditEntry, Membership, Partner, Role, User
from tests import make

pytestmark = pytest.mark.django_db
TEAM, TOKENS, LOG = "/api/v1/team", "/api/v1/tokens", "/api/v1/audit-log"
EMAIL = "new@a.example"


@pytest.fixture
def partner() -> Partner:
    return make.partner("Northwind")


@pytest.fixture
def manager(partner: Partner) -> User:
    return make.user(partner, email="manager@a.example")


@pytest.fixture
def machine(partner: Partner, manager: User) -> Any:
    return make.api(make.token(partner, by=manager))


@pytest.fixture
def rival() -> Any:
    other = make.partner("Rival")
    return make.api(make.token(other, by=make.user(other)))


def code_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def member(person: User) -> str:
    return str(Membership.objects.get(user=person).pk)


# --- People -----------------------------------------------------------------------------------------------------------


def test_whom_a_token_invites_is_a_viewer_and_chooses_a_password(machine: Any, partner: Partner) -> None:
    made = machine.post(TEAM, {"email": EMAIL.upper()})
    assert (made.status_code, made.json()["role"], made.json()["is_mailed"]) == (201, Role.VIEWER, True)
    assert [letter.to for letter in mail.outbox] == [[EMAIL]]
    row = Membership.objects.get(user__email=EMAIL)
    assert (row.partner, row.role, row.user.is_staff) == (partner, Role.VIEWER, False)
    assert machine.get(f"{TEAM}/{row.pk}").json()["email"] == EMAIL
    assert code_of(machine.post(TEAM, {"email": EMAIL})) == (409, "member_already")


def test_a_token_makes_nobody_more_than_a_viewer_whatever_its_maker_is(machine: Any, manager: User) -> None:
    asked = {"email": EMAIL, "role": Role.SENIOR_MANAGER, "is_staff": True, "is_superuser": True}
    assert code_of(machine.post(TEAM, asked)) == (403, "role_not_given")
    staff = make.user(None, email="staff@vendor.example", is_staff=True)
    assert code_of(machine.post(TEAM, {"email": staff.email})) == (409, "not_invitable")
    viewer = make.user(Membership.objects.get(user=manager).partner, role=Role.VIEWER)
    for method in ("put", "patch", "post"):
        answer = getattr(machine, method)(f"{TEAM}/{member(viewer)}", {"role": Role.SENIOR_MANAGER})
        assert answer.status_code == 405
    assert not User.objects.filter(email=EMAIL).exists()
    assert Membership.objects.get(user=viewer).role == Role.VIEWER


def test_a_token_makes_no_tokens(machine: Any) -> None:
    before = ApiToken.objects.count()
    assert machine.post(TOKENS, {"name": "x", "scopes": ["team:write"]}).status_code == 405
    assert ApiToken.objects.count() == before


def demote(manager: User, partner: Partner) -> None:
    Membership.objects.filter(user=manager).update(role=Role.VIEWER)


def take_out(manager: User, partner: Partner) -> None:
    Membership.objects.filter(user=manager).delete()


def switch_off(manager: User, partner: Partner) -> None:
    User.objects.filter(pk=manager.pk).update(is_active=False)


def forget(manager: User, partner: Partner) -> None:
    manager.delete()


def demand_a_factor(manager: User, partner: Partner) -> None:
    Partner.objects.update(second_factor_from=clock.now().date() - timedelta(days=1))


@pytest.mark.parametrize("happens", [demote, take_out, switch_off, forget, demand_a_factor])
def test_a_token_may_no_more_than_its_maker_at_this_moment(
    machine: Any, manager: User, partner: Partner, happens: Any
) -> None:
    viewer = member(make.user(partner, role=Role.VIEWER))
    make.user(partner)
    key = str(ApiToken.objects.get().pk)
    happens(manager, partner)
    code = "maker_unknown" if happens is forget else "maker_may_not"
    for answer in (
        machine.post(TEAM, {"email": EMAIL}),
        machine.delete(f"{TEAM}/{viewer}"),
        machine.post(f"{TEAM}/{viewer}/sign-out"),
        machine.post(f"{TOKENS}/{key}/revoke"),
    ):
        assert code_of(answer) == (403, code)
    assert Membership.objects.filter(pk=viewer).exists()
    assert not User.objects.filter(email=EMAIL).exists()
    assert ApiToken.objects.get().revoked_at is None
    assert not mail.outbox
    assert machine.get(TEAM).status_code == 200


def test_nobody_answers_for_a_token_of_the_command_line(partner: Partner) -> None:
    assert code_of(make.api(make.token(partner)).post(TEAM, {"email": EMAIL})) == (403, "maker_unknown")


def test_the_last_manager_stays(machine: Any, manager: User, partner: Partner) -> None:
    assert code_of(machine.delete(f"{TEAM}/{member(manager)}")) == (409, "last_manager")
    other = member(make.user(partner))
    assert machine.delete(f"{TEAM}/{other}").status_code == 204
    assert code_of(machine.delete(f"{TEAM}/{member(manager)}")) == (409, "last_manager")
    assert machine.get(f"{TEAM}/{other}").status_code == 404


def test_the_vendors_token_is_worth_what_its_maker_is(partner: Partner, manager: User) -> None:
    """A vendor-wide token that a partner's manager was once the maker of changes nobody elsewhere."""
    other = make.partner("Other")
    stray = make.api(make.token(None, by=manager))
    assert code_of(stray.post(f"{TEAM}?partner={other.slug}", {"email": EMAIL})) == (403, "maker_may_not")
    staff = make.user(None, is_staff=True)
    vendor = make.api(make.token(None, by=staff))
    assert vendor.post(f"{TEAM}?partner={other.slug}", {"email": EMAIL}).status_code == 201
    assert code_of(vendor.post(TEAM, {"email": EMAIL})) == (400, "partner_needed")
    assert [row.action for row in AuditEntry.objects.filter(partner_id=other.pk)] == ["post api-team"]


def test_another_partners_people_and_tokens_are_not_found(
    machine: Any, rival: Any, manager: User, partner: Partner
) -> None:
    key = ApiToken.objects.get(partner=partner).pk
    wide = ApiToken.objects.get(digest=hashlib.sha256(make.token(None).encode()).hexdigest())
    for answer in (
        rival.get(f"{TEAM}/{member(manager)}"),
        rival.delete(f"{TEAM}/{member(manager)}"),
        rival.post(f"{TEAM}/{member(manager)}/sign-out"),
        rival.get(f"{TOKENS}/{key}"),
        rival.post(f"{TOKENS}/{key}/revoke"),
        machine.get(f"{TOKENS}/{wide.pk}"),
        machine.post(f"{TOKENS}/{wide.pk}/revoke"),
    ):
        assert code_of(answer) == (404, "not_found")
    assert manager.email not in rival.get(TEAM).content.decode()
    assert [row["id"] for row in machine.get(TOKENS).json()["results"]] == [str(key)]


def test_reading_changes_nothing_and_writing_needs_its_scope(partner: Partner, manager: User) -> None:
    reader = make.api(make.token(partner, ("team:read", "config:write", "clients:write"), by=manager))
    assert reader.get(TEAM).json()["results"][0]["email"] == manager.email
    for answer in (reader.post(TEAM, {"email": EMAIL}), reader.delete(f"{TEAM}/{member(manager)}")):
        assert code_of(answer) == (403, "missing_scope")


def test_a_member_is_out_of_every_browser_and_a_vendors_person_is_not(
    machine: Any, partner: Partner, client: Any
) -> None:
    viewer = make.user(partner, role=Role.VIEWER)
    client.force_login(viewer, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert client.get("/partnership/team").status_code == 200
    assert machine.post(f"{TEAM}/{member(viewer)}/sign-out").json() == {"browsers": 1}
    assert client.get("/partnership/team").status_code == 302
    assert not sessions.open_of(viewer).exists()
    staff = make.user(partner, role=Role.VIEWER, is_staff=True)
    assert code_of(machine.post(f"{TEAM}/{member(staff)}/sign-out")) == (409, "persons_own")


def test_a_machine_mails_no_more_than_its_share(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [machine.post(TEAM, {"email": f"p{number}@a.example"}) for number in range(103)]
    assert [answer.status_code for answer in answers[:100]] == [201] * 100
    assert (answers[-1].status_code, answers[-1].json()["code"]) == (429, "too_many_requests")
    assert int(answers[-1]["Retry-After"]) > 0
    assert len(mail.outbox) == 100


def test_tokens_are_told_without_their_text_and_shut_out(machine: Any, partner: Partner) -> None:
    text = make.token(partner, ("events:write",))
    [found] = [row for row in machine.get(TOKENS).json()["results"] if row["scopes"] == ["events:write"]]
    assert text not in machine.get(TOKENS).content.decode()
    assert found["prefix"] == text[:12]
    first = machine.post(f"{TOKENS}/{found['id']}/revoke").json()["revoked_at"]
    assert machine.post(f"{TOKENS}/{found['id']}/revoke").json()["revoked_at"] == first
    assert code_of(make.api(text).post("/api/v1/events", {})) == (401, "invalid_token")


def test_an_invitation_that_is_sent_twice_is_one(machine: Any) -> None:
    first = machine.post(TEAM, {"email": EMAIL}, HTTP_IDEMPOTENCY_KEY="a")
    again = machine.post(TEAM, {"email": EMAIL}, HTTP_IDEMPOTENCY_KEY="a")
    assert (again.status_code, again.json()) == (201, first.json())
    assert len(mail.outbox) == 1


# --- The audit log ----------------------------------------------------------------------------------------------------


def numbers(answer: Any) -> list[int]:
    return [row["number"] for row in answer.json()["results"]]


def test_what_a_token_changed_stands_in_the_log_and_its_hash_can_be_reckoned(machine: Any) -> None:
    machine.post(TEAM, {"email": EMAIL})
    [entry] = machine.get(f"{LOG}?action=team").json()["results"]
    assert (entry["action"], entry["target"], entry["details"]) == ("post api-team", TEAM, {"email": EMAIL})
    assert entry["actor"].startswith("test (psap_")
    told = {name: value for name, value in entry.items() if name != "hash"}
    assert hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest() == entry["hash"]


def test_the_log_is_searched_by_time_actor_and_action_in_pages(
    machine: Any, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = clock.now()
    for number in range(6):
        monkeypatch.setattr(clock, "now", lambda at=start + timedelta(hours=number): at)
        actor = "Ann" if number % 2 else "Bob"
        audit.note(
            f"step {number}", actor=actor, partner_id=partner.pk, on_behalf_of="Eve" if number == 3 else ""
        )
    monkeypatch.undo()
    assert numbers(machine.get(LOG)) == [6, 5, 4, 3, 2, 1]
    assert numbers(machine.get(f"{LOG}?actor=aNN")) == [6, 4, 2]
    assert numbers(machine.get(f"{LOG}?actor=eve&action=STEP")) == [4]
    since, until = (f"{start + timedelta(hours=hours):%Y-%m-%dT%H:%M:%S.%fZ}" for hours in (1, 4))
    assert numbers(machine.get(f"{LOG}?since={since}&until={until}")) == [4, 3, 2]
    first = machine.get(f"{LOG}?page_size=4&actor=b")
    assert (numbers(first), numbers(machine.get(first.json()["next"] or LOG))) == (
        [5, 3, 1],
        [6, 5, 4, 3, 2, 1],
    )
    page = machine.get(f"{LOG}?page_size=4")
    rest = machine.get(page.json()["next"])
    assert (numbers(page), numbers(rest), rest.json()["next"]) == ([6, 5, 4, 3], [2, 1], None)
    for wrong in ("since=yesterday", "until=2026-11-21T03:00:00", "since=2026-13-41T00:00:00Z"):
        assert code_of(machine.get(f"{LOG}?{wrong}")) == (400, "not_a_time")
    for far in ("since=0001-01-01T00:00:00%2B14:00", "until=9999-12-31T23:59:59-14:00"):
        assert machine.get(f"{LOG}?{far}").status_code in (200, 400)


def test_another_partners_log_and_the_installations_are_not_seen(machine: Any, partner: Partner) -> None:
    other = make.partner("Other")
    audit.note("theirs", actor="x", partner_id=other.pk)
    audit.note("nobody's", actor="x")
    assert numbers(machine.get(f"{LOG}?partner={other.slug}")) == []
    assert machine.get(f"{LOG}/verification?partner={other.slug}").json()["written"] == 0
    vendor = make.api(make.token(None))
    assert vendor.get(f"{LOG}?partner={other.slug}").json()["results"][0]["action"] == "theirs"
    assert vendor.get(LOG).json()["results"][0]["action"] == "nobody's"


def test_the_chain_is_verified_in_stretches_and_every_tampering_is_named(
    machine: Any, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditapi, "LOOKED_AT", 4)
    for number in range(10):
        audit.note(f"step {number}", actor="me", partner_id=partner.pk)
    assert walked(machine) == ([(1, 4), (5, 8), (9, 10)], [])
    rows = AuditEntry.objects.filter(partner_id=partner.pk)
    for tamper, place in (
        (lambda: rows.filter(number=6).update(actor="x"), 6),
        (lambda: rows.filter(number__in=(3, 4)).delete(), 3),
        (lambda: rows.filter(number__in=(5, 6)).delete(), 5),
        (lambda: rows.filter(number__in=(4, 5)).delete(), 4),
        (lambda: rows.filter(number__gt=8).delete(), 9),
        (lambda: rows.filter(number=10).delete(), 10),
        (lambda: rows.filter(number=5).update(previous="0" * 64), 5),
    ):
        with transaction.atomic():
            tamper()
            _, breaks = walked(machine)
            transaction.set_rollback(True)
        assert place in breaks
    for wrong in ("11", "-1", "x", "9" * 30):
        assert code_of(machine.get(f"{LOG}/verification?after={wrong}")) == (400, "unknown_value")


def walked(machine: Any) -> tuple[list[tuple[int, int]], list[int]]:
    """The stretches that were looked at, and where the chain does not hold."""
    url, stretches, breaks = f"{LOG}/verification", [], []
    while url:
        found = machine.get(url).json()
        assert found["holds"] is (not found["breaks"])
        stretches.append((found["first"], found["last"]))
        breaks += [one["number"] for one in found["breaks"]]
        url = found["next"]
    return stretches, breaks


@pytest.mark.parametrize("path", [LOG, TEAM, TOKENS, "/api/v1/clients"])
def test_a_cursor_that_nobody_made_is_told(machine: Any, path: str) -> None:
    for text in ("p=x", "p=\x00", "o=1&p=1&r=1", "p=9" * 9):
        cursor = base64.b64encode(text.encode()).decode()
        assert machine.get(path, {"cursor": cursor}).status_code in (200, 400), text
