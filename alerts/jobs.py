"""What the worker does for this room: ids in, one operation, harmless to repeat."""

from __future__ import annotations

import logging

from alerts import (
    absence,
    addresses,
    catchup,
    charts,
    guide,
    intake,
    lifecycle,
    mails,
    outages,
    release,
    replays,
    ticketsweep,
    tickettest,
    webhooks,
)
from integrations.models import Credentials, Event
from integrations.models.connections import Kind, Standing
from integrations.psa.errors import PsaError
from portal import background
from portal.models import Partner

logger = logging.getLogger(__name__)


def take_in_parked() -> None:
    intake.take_in_parked(Event.objects.filter(client=None, state=Event.State.PARKED))


def look_after_tickets() -> None:
    lifecycle.look_after_tickets()


def look_after_outages() -> None:
    outages.look_after_outages()


def end_disablings() -> None:
    catchup.end_due()


def fill_addresses() -> None:
    """One job a connection that has addresses to read."""
    for key in addresses.connections_with_missing():
        background.enqueue("alerts.jobs.fill_addresses_of", str(key))


def fill_addresses_of(credentials_id: str) -> None:
    credentials = Credentials.objects.select_related("lane").filter(pk=credentials_id).first()
    if credentials is not None and not credentials.lane.breaker and not credentials.lane.is_paused:
        addresses.fill(credentials)


def test_ticket(test_id: str) -> None:
    tickettest.run(test_id)


def first_preview(credentials_id: str) -> None:
    guide.carry_out_preview(credentials_id)


def sweep() -> None:
    """One job a connection, so that one PSA's trouble does not delay another's sweep."""
    rows = Credentials.objects.exclude(kind=Kind.NONE).exclude(standing=Standing.DRAFT)
    for key in rows.values_list("pk", flat=True):
        background.enqueue("alerts.jobs.sweep_connection", str(key))


def sweep_connection(credentials_id: str) -> None:
    credentials = Credentials.objects.select_related("lane").filter(pk=credentials_id).first()
    if credentials is None or credentials.lane.breaker or credentials.lane.is_paused:
        return
    try:
        righted = ticketsweep.sweep(credentials)
    except PsaError as error:
        logger.warning("The sweep of %s stopped: %s", credentials.pk, error.text)
        return
    if righted:
        logger.warning("The sweep of %s put %s tickets right", credentials.pk, righted)


def release_due() -> None:
    release.release_due()


def send_outbound() -> None:
    """One job an endpoint, so that one receiver that hangs does not delay another; e-mails in one of their own."""
    background.enqueue("alerts.jobs.send_mails")
    for key in webhooks.with_work():
        background.enqueue("alerts.jobs.send_webhooks", str(key), timeout=120)


def send_webhooks(endpoint_id: str) -> None:
    webhooks.send_to(endpoint_id)


def send_mails() -> None:
    mails.send_due()


def look_for_absences() -> None:
    absence.look()


def count_days() -> None:
    """One job a partner, so that one with many events delays no other's charts."""
    for key in charts.connected():
        background.enqueue("alerts.jobs.count_days_of", str(key))


def count_days_of(partner_id: str) -> None:
    for partner in Partner.objects.filter(pk=partner_id):
        charts.count_days(partner)


def count_months() -> None:
    for key in charts.connected():
        background.enqueue("alerts.jobs.count_months_of", str(key))


def count_months_of(partner_id: str) -> None:
    for partner in Partner.objects.filter(pk=partner_id):
        charts.count_months(partner)


def learn_expectations() -> None:
    absence.learn()


def replay(key: str) -> None:
    replays.carry_out(key)


def look_after_replays() -> None:
    replays.look_after()
