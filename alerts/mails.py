"""E-mails that notifications lead to, sent (asked by the worker).

The intent to send stands in the delivery's row before the mail server hears of it. A server that is down loses nothing;
a mail whose fate is not known is held for a person, because nothing may be mailed twice.
"""

from __future__ import annotations

import smtplib
import uuid
from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.db.models import F

from alerts import outbound
from alerts.models import Notification
from integrations import outcomes
from integrations.models import Action, Delivery, Status
from portal import clock, database

MOST_IN_ONE = 200
"""Events in one e-mail; more go into the next."""
SENDING_FOR = timedelta(minutes=10)
REFUSALS = (
    smtplib.SMTPSenderRefused,
    smtplib.SMTPRecipientsRefused,
    smtplib.SMTPDataError,
    smtplib.SMTPNotSupportedError,
)
"""Answers of a mail server that say: it was not taken."""
DOUBT = "It may have been sent: the mail server did not say. Reprocess it if it did not arrive."


def send_due() -> int:
    """Send what is due, one e-mail a notification; returns how many were sent. Harmless to repeat."""
    doubt_the_lost()
    due = Delivery.objects.filter(
        lane=None, status=Status.WAITING, action=Action.EMAIL, due_at__lte=clock.now()
    ).order_by()
    sent = 0
    for key in list(due.values_list("notification_id", flat=True).distinct()[:500]):
        sent += send_of(key)
    return sent


def doubt_the_lost() -> None:
    """What a worker that died was just sending may have arrived."""
    Delivery.objects.filter(
        lane=None,
        status=Status.RUNNING,
        action=Action.EMAIL,
        started_at__lt=clock.now() - SENDING_FOR,
    ).update(status=Status.HELD, reason="maybe_sent", outcome=DOUBT, finished_at=clock.now())


def send_of(notification_id: uuid.UUID | None) -> int:
    """One e-mail about all that waits for one notification; 1 when it was sent."""
    rule = None
    if notification_id is not None:
        rule = Notification.objects.select_related("partner").filter(pk=notification_id).first()
    batch = claim(notification_id)
    if not batch:
        return 0
    addresses = outbound.addresses_of(rule) if rule else []
    if rule is None or not addresses:
        text = "The notification has no e-mail addresses." if rule else "The notification was deleted."
        settle(batch, Status.SKIPPED, "no_address", text)
        return 0
    connection = get_connection()
    try:
        connection.open()
    except (OSError, smtplib.SMTPException) as error:
        again(batch, f"The mail server does not answer: {type(error).__name__}.")
        return 0
    try:
        message = message_of(rule, batch, addresses)
        message.connection = connection
        message.send()
    except REFUSALS as error:
        refused(batch, error)
    except (OSError, smtplib.SMTPException):
        settle(batch, Status.HELD, "maybe_sent", DOUBT)
    else:
        settle(batch, Status.DONE, "", f"Mailed to {', '.join(addresses)}.")
        return 1
    finally:
        connection.close()
    return 0


def claim(notification_id: uuid.UUID | None) -> list[Delivery]:
    """All that waits for it, also what is not due yet: it fits into the same e-mail."""
    with database.writing():
        rows = Delivery.objects.select_for_update(no_key=True, of=("self",)).filter(
            lane=None, status=Status.WAITING, action=Action.EMAIL, notification_id=notification_id
        )
        batch = list(rows.select_related("event__client").order_by("id")[:MOST_IN_ONE])
        Delivery.objects.filter(pk__in=[row.pk for row in batch]).update(
            status=Status.RUNNING, started_at=clock.now(), attempts=F("attempts") + 1
        )
    for row in batch:
        row.attempts += 1
    return batch


def settle(batch: Sequence[Delivery], status: Status, reason: str, text: str) -> None:
    Delivery.objects.filter(pk__in=[row.pk for row in batch], status=Status.RUNNING).update(
        status=status,
        reason=reason,
        outcome=text,
        error_kind="",
        error_text="" if status == Status.DONE else text,
        finished_at=clock.now(),
    )


def again(batch: Sequence[Delivery], text: str) -> None:
    """A mail server that is down is no failure of the delivery: it waits without limit, in growing pauses."""
    pauses = settings.RETRY_DELAYS
    for row in batch:
        row.status, row.reason, row.outcome, row.error_kind = (
            Status.WAITING,
            "mail_server",
            text,
            "unreachable",
        )
        row.error_text, row.advice = text, "It is tried again by itself. The operator sets EMAIL_URL."
        row.due_at = outcomes.due_after(min(3600.0, pauses[min(row.attempts, len(pauses)) - 1]))
    database.save_all(batch, ["status", "reason", "outcome", "error_kind", "error_text", "advice", "due_at"])


def refused(batch: Sequence[Delivery], error: Exception) -> None:
    """A temporary no (4xx) is asked again, a final one (5xx) fails."""
    code = getattr(error, "smtp_code", 550)
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code = min((answer[0] for answer in error.recipients.values()), default=550)
    if code < 500 and batch[0].attempts <= len(settings.RETRY_DELAYS):
        again(batch, f"The mail server said “later” ({code}).")
    else:
        settle(batch, Status.FAILED, "mail_refused", f"The mail server refused the e-mail ({code}).")


def message_of(rule: Notification, batch: Sequence[Delivery], addresses: Sequence[str]) -> EmailMessage:
    """One event as itself, several as a list. The id is that of the first delivery, so a copy can be told."""
    events = [row.event for row in batch]
    first = events[0]
    lines = [
        f"{event.occurred_at:%Y-%m-%d %H:%M} UTC  {event.severity}  {event.client}: {event}\n"
        f"{settings.PORTAL_URL}/events/{event.pk}"
        for event in events
    ]
    subject = f"{first.client}: {first}" if len(events) == 1 else f"{len(events)} events: {rule.name}"
    why = f"You get this because of the notification “{rule.name}” of {rule.partner}."
    return EmailMessage(
        subject=" ".join(subject.split())[:200],
        body="\n\n".join([*lines, *([first.details] if len(events) == 1 and first.details else []), why]),
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=list(addresses),
        headers={"Message-ID": f"<{batch[0].pk.hex}.{batch[0].attempts}@psa-portal>"},
    )
