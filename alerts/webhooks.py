"""Webhook endpoints made and changed, and their deliveries sent (asked by pages, REST and the worker).

Each endpoint is a queue of its own with a breaker of its own; PSA lanes know nothing of it. What was being sent when a
worker died is sent again with the same `webhook-id`, by which the receiver tells a repeat.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet

from alerts import outbound
from alerts.models import WebhookEndpoint
from integrations import lanes, outcomes, webhooks
from integrations.dispatcher import KEPT_EXCHANGES, OUR_MISTAKE
from integrations.models import Action, Delivery, Status
from integrations.psa.errors import Misconfigured, PsaError
from integrations.psa.port import Exchange
from portal import background, clock, database
from portal.encryption import DecryptionFailed
from portal.models import Partner

logger = logging.getLogger(__name__)
LEASE = timedelta(seconds=90)
TURN = 40.0
"""Seconds that one worker sends to one endpoint before the next may."""
AT_ONCE = 20
STRAIGHT_FAILURES = 3
WRITTEN = (
    "status",
    "reason",
    "due_at",
    "finished_at",
    "outcome",
    "error_kind",
    "error_text",
    "advice",
    "exchanges",
    "milliseconds",
    "attempts",
)


# --- Endpoints --------------------------------------------------------------------------------------------------------


def save_endpoint(
    partner: Partner, *, name: str, url: str, is_enabled: bool = True, current: WebhookEndpoint | None = None
) -> tuple[WebhookEndpoint, str]:
    """Make or change an endpoint. Returns it with its secret, which is told this once; empty when it has one.

    A changed host gets a new secret. Raises ValidationError for an address that may not be called.
    """
    try:
        url = webhooks.check_url(url)
    except Misconfigured as refusal:
        raise ValidationError({"url": refusal.text.replace("site", "address")}) from refusal
    row = current or WebhookEndpoint(partner=partner)
    moved = webhooks.site_of(row.url) != webhooks.site_of(url) if row.url else True
    row.name, row.url, row.is_enabled = name, url, is_enabled
    row.failures, row.open_until, row.trouble = 0, None, ""
    secret = renew(row) if moved else ""
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        raise ValidationError({"url": "There is an endpoint with this address already."}) from error
    background.enqueue("alerts.jobs.send_outbound")
    return row, secret


def renew(row: Any) -> str:
    """A new secret, in memory; the former one is worth nothing from the saving on."""
    secret = webhooks.new_secret()
    row.secret = {"id": str(row.pk), "secret": secret}
    row.secret_hint = secret[-4:]
    return secret


def rotate_secret(row: WebhookEndpoint) -> str:
    """Give the endpoint a new secret and tell it, this once."""
    secret = renew(row)
    row.save(update_fields=["secret", "secret_hint"])
    return secret


def secret_of(row: WebhookEndpoint) -> str:
    wrapped: Any = row.secret
    if not wrapped or wrapped["id"] != str(row.pk):
        raise DecryptionFailed("The stored secret does not belong to this endpoint.")
    return str(wrapped["secret"])


def delete_endpoint(row: WebhookEndpoint) -> None:
    """Raises ValidationError while notifications lead to it."""
    if names := list(row.notifications.values_list("name", flat=True)[:5]):
        raise ValidationError(f"These notifications lead to it: {', '.join(names)}. Change them first.")
    with transaction.atomic():
        waiting(row).update(
            status=Status.SKIPPED,
            reason="endpoint_gone",
            outcome="The webhook endpoint was deleted.",
            finished_at=clock.now(),
        )
        row.delete()


# --- Sending ----------------------------------------------------------------------------------------------------------


def of_endpoint(row: WebhookEndpoint) -> Q:
    return Q(
        partner=row.partner_id,
        action=Action.WEBHOOK,
        lane=None,
        subject__startswith=outbound.prefix_of(row.pk),
    )


def waiting(row: WebhookEndpoint) -> QuerySet[Any]:
    return Delivery.objects.filter(of_endpoint(row), status=Status.WAITING)


def with_work() -> list[uuid.UUID]:
    """Endpoints that may be called now and that nobody is just calling."""
    now = clock.now()
    due = Delivery.objects.filter(
        lane=None, status__in=[Status.WAITING, Status.RUNNING], action=Action.WEBHOOK, due_at__lte=now
    )
    partners = list(due.order_by().values_list("partner", flat=True).distinct())
    return list(usable(now).filter(partner__in=partners).values_list("pk", flat=True))


def usable(now: datetime) -> QuerySet[Any]:
    return WebhookEndpoint.objects.filter(
        Q(held_until=None) | Q(held_until__lt=now),
        Q(open_until=None) | Q(open_until__lte=now),
        is_enabled=True,
    )


def send_to(endpoint_id: uuid.UUID | str) -> int:
    """Send what is due to one endpoint, for one turn; returns how many were tried. Harmless to repeat."""
    now = clock.now()
    if not usable(now).filter(pk=endpoint_id).update(held_until=now + LEASE):
        return 0
    row = WebhookEndpoint.objects.select_related("partner").defer("secret").get(pk=endpoint_id)
    row.open_until = None  # if it was open, this is the probe
    took_over(row)
    ends_at, tried = clock.monotonic() + TURN, 0
    try:
        while clock.monotonic() < ends_at and (batch := claim(row)):
            for place, delivery in enumerate(batch):
                if is_stopped(row) or clock.monotonic() >= ends_at:
                    put_back(batch[place:])
                    break
                attempt(row, delivery)
                tried += 1
            if is_stopped(row):
                break
    finally:
        WebhookEndpoint.objects.filter(pk=row.pk).update(held_until=None)
    return tried


def is_stopped(row: WebhookEndpoint) -> bool:
    """Whether its breaker has opened in this turn."""
    return row.open_until is not None


def took_over(row: WebhookEndpoint) -> None:
    """What a worker that died left running may have been sent: again, with the same id."""
    Delivery.objects.filter(of_endpoint(row), status=Status.RUNNING).update(
        status=Status.WAITING, reason="worker_lost", due_at=clock.now()
    )


def claim(row: WebhookEndpoint) -> list[Delivery]:
    """The oldest due deliveries, set to running; fewer when another of the same subject is on its way."""
    with database.writing():
        most = 1 if row.failures else AT_ONCE
        found = (
            waiting(row).filter(due_at__lte=clock.now()).order_by("id").select_related("event__client")[:most]
        )
        batch = list({delivery.subject: delivery for delivery in found}.values())
        Delivery.objects.filter(pk__in=[delivery.pk for delivery in batch]).update(
            status=Status.RUNNING, started_at=clock.now(), attempts=F("attempts") + 1
        )
    for delivery in batch:
        delivery.status = Status.RUNNING
        delivery.attempts += 1
    return batch


def put_back(rows: Sequence[Delivery]) -> None:
    Delivery.objects.filter(pk__in=[row.pk for row in rows], status=Status.RUNNING).update(
        status=Status.WAITING, attempts=F("attempts") - 1
    )


def attempt(row: WebhookEndpoint, delivery: Delivery) -> None:
    """One call, and what came of it on the delivery's and the endpoint's rows."""
    log: list[Exchange] = []
    started = clock.monotonic()
    try:
        webhooks.post(
            row.url,
            outbound.payload_of(delivery.event),
            secret=secret_of(row),
            message_id=f"msg_{delivery.pk.hex}",
            timestamp=int(clock.now().timestamp()),
            on_call=log.append,
        )
    except DecryptionFailed as error:
        failed(row, delivery, Misconfigured(str(error), field="secret", advice="Make a new secret for it."))
    except PsaError as error:
        failed(row, delivery, error)
    except Exception as error:
        logger.exception("Webhook delivery %s could not be made", delivery.pk)
        delivery.status, delivery.reason, delivery.error_kind = Status.FAILED, "bug", "bug"
        delivery.error_text = delivery.outcome = f"{type(error).__name__} in the portal. {OUR_MISTAKE}"
        delivery.finished_at = clock.now()
    else:
        delivery.status, delivery.reason = Status.DONE, ""
        delivery.outcome = f"{row.name} took it."
        delivery.error_kind = delivery.error_text = delivery.advice = ""
        delivery.finished_at = clock.now()
        row.failures, row.open_until, row.trouble, row.last_success_at = 0, None, "", clock.now()
    delivery.milliseconds = int((clock.monotonic() - started) * 1000)
    kept = [*delivery.exchanges, *({"attempt": delivery.attempts, **vars(call)} for call in log)]
    delivery.exchanges = kept[-KEPT_EXCHANGES:]
    with database.writing():
        delivery.save(update_fields=WRITTEN)
        row.held_until = clock.now() + LEASE
        row.save(update_fields=["failures", "open_until", "trouble", "last_success_at", "held_until"])


def failed(row: WebhookEndpoint, delivery: Delivery, error: PsaError) -> None:
    """Again later, on the house's schedule. A receiver that is down counts against the endpoint, not the delivery."""
    delivery.error_kind, delivery.error_text, delivery.advice = error.kind, error.text, error.advice
    delivery.outcome = error.text
    row.trouble = error.text
    row.failures += 1
    is_down = error.kind in {"unreachable", "address_refused"}
    if is_down and row.failures >= STRAIGHT_FAILURES:
        row.open_until = clock.now() + lanes.next_probe(row.failures - STRAIGHT_FAILURES)
        delivery.attempts = max(0, delivery.attempts - 1)
        delivery.status, delivery.reason, delivery.due_at = Status.WAITING, error.kind, clock.now()
        return
    outcome = outcomes.of_error(error, attempts=delivery.attempts)
    if outcome.status == Status.FAILED and error.kind in {"webhook_refused", "misconfigured"}:
        outcome = (
            outcome
            if delivery.attempts > len(settings.RETRY_DELAYS)
            else outcomes.again(error, settings.RETRY_DELAYS[delivery.attempts - 1], error.kind)
        )
    delivery.status, delivery.reason = outcome.status, outcome.reason
    if outcome.again_in is not None:
        delivery.due_at = outcomes.due_after(outcome.again_in)
    else:
        delivery.finished_at = clock.now()


def redeliver(row: WebhookEndpoint, deliveries: Sequence[uuid.UUID]) -> int:
    """Send these again, whatever came of them; returns how many were put back."""
    number = Delivery.objects.filter(
        of_endpoint(row),
        pk__in=deliveries,
        status__in=[Status.DONE, Status.FAILED, Status.SKIPPED, Status.HELD],
    ).update(status=Status.WAITING, reason="reprocess", due_at=clock.now(), attempts=0, finished_at=None)
    background.enqueue("alerts.jobs.send_outbound")
    return number
