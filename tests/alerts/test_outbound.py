"""Webhooks and e-mails: sent once, signed, tried again, and never in the way of a PSA."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import smtplib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core import mail
from django.core.exceptions import ValidationError

from alerts import mails, mailsettings, notifications, webhooks
from alerts.models import Notification, WebhookEndpoint
from integrations import eventlog
from integrations.models import Delivery
from tests import make
from tests.alerts.test_noise import Clock, Site


class Receiver:
    """A webhook receiver over real HTTP that remembers what it got and answers as told."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((dict(self.headers), body))
                self.send_response(receiver.status)
                if 300 <= receiver.status < 400:
                    self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()
                self.wfile.write(b"OK")

            def log_message(self, *args: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?from=portal"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.server.shutdown()
    one.server.server_close()


@pytest.fixture
def time_stands(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def site(db: None, time_stands: Clock) -> Site:
    return Site()


def hook(site: Site, url: str) -> tuple[WebhookEndpoint, str]:
    row, secret = webhooks.save_endpoint(site.partner, name="Status page", url=url)
    entered = notifications.Entered(name="Tell them", action="webhook", webhook=row)
    notifications.save_notification(site.partner, entered)
    return row, secret


def sent() -> Delivery:
    return Delivery.objects.get(action="webhook")


# --- Webhooks ---------------------------------------------------------------------------------------------------------


def test_a_message_that_cannot_be_made_stops_no_other(
    site: Site, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, _ = hook(site, receiver.url)
    odd = site.fail("SRV-01")
    site.fail("SRV-02")
    payload = webhooks.outbound.payload_of

    def stumble(event: Any) -> Any:
        if event.pk == odd.pk:
            raise ValueError("odd")
        return payload(event)

    monkeypatch.setattr(webhooks.outbound, "payload_of", stumble)
    assert webhooks.send_to(row.pk) == 2
    told = Delivery.objects.filter(action="webhook").order_by("id").values_list("status", "reason")
    assert list(told) == [("failed", "bug"), ("done", "")]


def test_k4_a_webhook_is_signed_as_standard_webhooks_say(site: Site, receiver: Receiver) -> None:
    row, secret = hook(site, receiver.url)
    event = site.fail()
    assert webhooks.send_to(row.pk) == 1
    headers, body = receiver.got[0]
    assert headers["webhook-id"] == f"msg_{sent().pk.hex}"
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{wanted}"
    assert json.loads(body)["data"]["id"] == str(event.pk)
    assert (sent().status, sent().attempts, len(sent().exchanges)) == ("done", 1, 1)
    assert secret not in json.dumps(sent().exchanges)


def test_the_secret_is_stored_encrypted_and_bound_to_its_row(site: Site, receiver: Receiver) -> None:
    row, secret = hook(site, receiver.url)
    other, _ = webhooks.save_endpoint(site.partner, name="Other", url=receiver.url + "&2")
    row.refresh_from_db()
    assert webhooks.secret_of(row) == secret
    other.secret = row.secret
    with pytest.raises(webhooks.DecryptionFailed):
        webhooks.secret_of(other)


def test_a_refusal_is_tried_again_on_the_schedule_and_fails_in_the_end(
    site: Site, receiver: Receiver, time_stands: Clock
) -> None:
    row, _ = hook(site, receiver.url)
    receiver.status = 400
    site.fail()
    for _ in range(len(django_settings.RETRY_DELAYS) + 3):
        webhooks.send_to(row.pk)
        time_stands.pass_minutes(1)
    assert sent().status == "failed"
    assert len(receiver.got) == len(django_settings.RETRY_DELAYS) + 1
    receiver.status = 204
    assert webhooks.redeliver(row, [sent().pk]) == 1
    row.refresh_from_db()
    webhooks.send_to(row.pk)
    assert sent().status == "done"
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1


@pytest.mark.parametrize("status", [302, 500])
def test_a_receiver_that_is_down_stops_its_own_queue_only_and_nothing_is_lost(
    site: Site, receiver: Receiver, time_stands: Clock, status: int
) -> None:
    row, _ = hook(site, receiver.url)
    receiver.status = status
    for number in range(5):
        site.fail(f"SRV-{number}")
    for _ in range(4):
        webhooks.send_to(row.pk)
        time_stands.pass_minutes(0.0001)
    row.refresh_from_db()
    assert row.open_until is not None
    assert set(Delivery.objects.filter(action="webhook").values_list("status", flat=True)) == {"waiting"}
    assert Delivery.objects.filter(action="ticket").count() == 5
    receiver.status = 200
    for _ in range(8):
        time_stands.pass_minutes(60)
        webhooks.send_to(row.pk)
    assert set(Delivery.objects.filter(action="webhook").values_list("status", flat=True)) == {"done"}


def test_what_a_lost_worker_was_sending_is_sent_again_with_the_same_id(
    site: Site, receiver: Receiver, time_stands: Clock
) -> None:
    row, _ = hook(site, receiver.url)
    site.fail()
    webhooks.claim(row)
    WebhookEndpoint.objects.update(held_until=time_stands.at + webhooks.LEASE)
    assert webhooks.send_to(row.pk) == 0  # another worker may be at it
    time_stands.pass_minutes(5)
    assert webhooks.send_to(row.pk) == 1
    assert sent().status == "done"


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.7/hook",
        "http://[::ffff:127.0.0.1]/hook",
        "http://metadata.example/hook",
    ],
)
def test_private_and_metadata_addresses_are_refused(
    site: Site, time_stands: Clock, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *args, **more: [(2, 1, 6, "", ("169.254.169.254", 80))])
    row, _ = hook(site, url)
    site.fail()
    webhooks.send_to(row.pk)
    assert sent().error_kind == "address_refused"
    assert "169.254" not in sent().error_text.replace(url, "") or "169.254.169.254" in url


@pytest.mark.parametrize("url", ["ftp://x.example/a", "nonsense", "http://user:pw@x.example/", "https:///a"])
def test_an_address_that_cannot_be_one_is_refused_at_once(site: Site, url: str) -> None:
    with pytest.raises(ValidationError):
        webhooks.save_endpoint(site.partner, name="W", url=url)


def test_webhooks_do_not_move_with_the_psa_connection(site: Site, receiver: Receiver) -> None:
    row, _ = hook(site, receiver.url)
    site.fail()
    eventlog.look_over()
    assert sent().status == "waiting"
    webhooks.send_to(row.pk)
    eventlog.reprocess(Delivery.objects.filter(action="webhook"))
    assert (sent().status, sent().lane_id) == ("waiting", None)


# --- E-mail -----------------------------------------------------------------------------------------------------------


def mailing(site: Site, **more: Any) -> Notification:
    entered = notifications.Entered(
        **{"name": "Night shift", "action": "email", "recipients": ["night@example.com"], **more}
    )
    return notifications.save_notification(site.partner, entered)


def mail_states() -> list[str]:
    return list(Delivery.objects.filter(action="email").order_by("id").values_list("status", flat=True))


def test_events_of_half_a_minute_are_one_e_mail_and_none_is_mailed_twice(
    site: Site, time_stands: Clock
) -> None:
    mailing(site)
    site.send(*({"account": f"SRV-{number}", "summary": f"SRV-{number} failed"} for number in range(3)))
    assert mails.send_due() == 0
    time_stands.pass_minutes(1)
    assert mails.send_due() == 1
    assert mails.send_due() == 0
    assert mail_states() == ["done"] * 3
    [message] = mail.outbox
    assert message.to == ["night@example.com"]
    assert all(f"SRV-{number} failed" in message.body for number in range(3))
    assert message.subject == "3 events: Night shift"


def test_members_get_it_only_while_they_are_members(site: Site, time_stands: Clock) -> None:
    person = make.user(site.partner, email="anna@example.com")
    mailing(site, recipients=[], members=[str(person.pk)])
    person.memberships.all().delete()
    site.fail()
    time_stands.pass_minutes(1)
    mails.send_due()
    assert mail_states() == ["skipped"]


class DeadServer:
    """A mail server that fails where it is told to."""

    where = "open"

    def __init__(self, *args: Any, **more: Any) -> None:
        pass

    def open(self) -> None:
        if self.where == "open":
            raise ConnectionRefusedError

    def send_messages(self, messages: Any) -> int:
        if self.where == "later":
            raise smtplib.SMTPDataError(451, b"later")
        if self.where == "never":
            raise smtplib.SMTPDataError(554, b"never")
        raise smtplib.SMTPServerDisconnected("gone")

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("where", "state"),
    [("open", "waiting"), ("later", "waiting"), ("never", "failed"), ("in the middle", "held")],
)
def test_a_dead_mail_server_loses_nothing_and_doubt_is_held_for_a_person(
    site: Site, time_stands: Clock, monkeypatch: pytest.MonkeyPatch, where: str, state: str
) -> None:
    mailing(site)
    site.fail()
    time_stands.pass_minutes(1)
    with monkeypatch.context() as dead:
        dead.setattr(DeadServer, "where", where)
        dead.setattr(mails, "get_connection", DeadServer)
        for _ in range(6):
            mails.send_due()
            time_stands.pass_minutes(1)
    assert mail_states() == [state]
    assert Delivery.objects.get(action="email").outcome
    time_stands.pass_minutes(600)
    mails.send_due()
    assert mail_states() == ["done" if state == "waiting" else state]


def test_a_worker_that_died_while_mailing_leaves_it_to_a_person(site: Site, time_stands: Clock) -> None:
    rule = mailing(site)
    site.fail()
    mails.claim(rule.pk)
    time_stands.pass_minutes(11)
    mails.send_due()
    assert mail_states() == ["held"]
    eventlog.reprocess(Delivery.objects.filter(action="email"))
    mails.send_due()
    assert mail_states() == ["done"]


# --- The e-mail settings, and duplicates ------------------------------------------------------------------------------


@pytest.mark.parity("S4-60", "S4-62")
def test_s4_60_the_three_settings_keep_notifications_and_the_conflict_is_told(site: Site) -> None:
    entered = mailsettings.Entered(
        address="ops@example.com",
        external_address="board@psa.example",
        no_backup=True,
        no_error_free_backup=True,
        external_ticketing=True,
    )
    mailsettings.save_mail_settings(site.partner, entered)
    mailsettings.save_mail_settings(site.partner, entered)
    assert mailsettings.entered_of(site.partner) == entered
    assert Notification.objects.filter(action="email", is_enabled=True).count() == 3
    [conflict] = mailsettings.conflicts(site.partner)
    assert "duplicate ticket" in conflict
    off = mailsettings.Entered(address="ops@example.com", no_backup=True)
    mailsettings.save_mail_settings(site.partner, off)
    assert mailsettings.conflicts(site.partner) == []
    assert mailsettings.entered_of(site.partner).external_ticketing is False


@pytest.mark.parity("S4-58")
def test_s4_58_no_notification_may_mail_the_psas_mail_connector(site: Site) -> None:
    mailsettings.save_mail_settings(
        site.partner, mailsettings.Entered(connector_addresses=["Board@psa.example"])
    )
    with pytest.raises(ValidationError, match="mail connector"):
        mailing(site, recipients=["board@PSA.example"])
