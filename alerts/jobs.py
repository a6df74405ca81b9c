"""What the worker does for this room: ids in, one operation, harmless to repeat."""

from __future__ import annotations

import logging

from alerts import addresses, catchup, intake, tickets, tickettest
from integrations.models import Credentials, Event
from integrations.models.connections import Kind
from integrations.psa.errors import PsaError
from portal import background

logger = logging.getLogger(__name__)


def take_in_parked() -> None:
    intake.take_in_parked(Event.objects.filter(client=None, state=Event.State.PARKED))


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


def sweep() -> None:
    """One job a connection, so that one PSA's trouble does not delay another's sweep."""
    for key in Credentials.objects.exclude(kind=Kind.NONE).values_list("pk", flat=True):
        background.enqueue("alerts.jobs.sweep_connection", str(key))


def sweep_connection(credentials_id: str) -> None:
    credentials = Credentials.objects.select_related("lane").filter(pk=credentials_id).first()
    if credentials is None or credentials.lane.breaker or credentials.lane.is_paused:
        return
    try:
        righted = tickets.sweep(credentials)
    except PsaError as error:
        logger.warning("The sweep of %s stopped: %s", credentials.pk, error.text)
        return
    if righted:
        logger.warning("The sweep of %s put %s tickets right", credentials.pk, righted)
