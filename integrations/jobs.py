"""What the worker does for this room: ids in, one operation, harmless to repeat."""

from __future__ import annotations

import logging

from integrations import (
    bulkreprocess,
    companies,
    doctor,
    eventlog,
    following,
    inbound,
    registration,
    reloading,
    suggestions,
    trouble,
)
from integrations.models import Credentials, Delivery
from integrations.models.connections import Kind, Standing
from integrations.psa.errors import PsaError
from portal import background, clock, onebyone

logger = logging.getLogger(__name__)


def test_connection(credentials_id: str) -> None:
    row = Credentials.objects.select_related("lane").filter(pk=credentials_id).first()
    if row is not None:
        doctor.examine(row)


def reload_choices() -> None:
    """A turn at whichever reading of options is due; new companies are compared with clients at once."""
    row = reloading.take_turn()
    if row is not None and row.finished_at is not None:
        suggestions.refresh(row.credentials)


def look_after_reloads() -> None:
    reloading.look_after()


def suggest_companies() -> None:
    """New clients and new companies are compared by themselves; the suggestions wait for a person."""
    rows = Credentials.objects.filter(standing=Standing.CURRENT).exclude(kind=Kind.NONE)
    onebyone.each(rows.defer("secret"), suggestions.refresh, what="Suggestions of companies")


def release_decided() -> None:
    companies.release_decided()


def reprocess(*delivery_ids: str) -> None:
    eventlog.reprocess(Delivery.objects.filter(pk__in=delivery_ids))


def bulk_reprocess(key: str) -> None:
    bulkreprocess.take_turn(key)


def look_after_bulk() -> None:
    bulkreprocess.look_after()


def follow() -> None:
    """What is due of following tickets, one job a connection, so that one PSA's trouble does not delay another's."""
    now = clock.now()
    for key in inbound.unattended(now):
        background.enqueue("integrations.jobs.take_in", str(key))
    for credentials in registration.due(now):
        background.enqueue("integrations.jobs.register_callback", str(credentials.pk))
    for key in following.due(now):
        background.enqueue("integrations.jobs.poll_changes", str(key))


def take_in(credentials_id: str) -> None:
    row = Credentials.objects.select_related("lane").filter(pk=credentials_id).first()
    if row is not None:
        inbound.take_in(row)


def register_callback(credentials_id: str) -> None:
    row = Credentials.objects.select_related("lane").filter(pk=credentials_id).first()
    if row is not None:
        registration.settle(row)


def poll_changes(credentials_id: str) -> None:
    row = Credentials.objects.select_related("lane").filter(pk=credentials_id).first()
    if row is None:
        return
    try:
        following.poll(row)
    except PsaError as error:
        logger.warning("Changed tickets of %s could not be read: %s", row.pk, error.text)


def fetch_key(credentials_id: str) -> None:
    row = Credentials.objects.filter(pk=credentials_id).first()
    if row is not None:
        inbound.fetch_key(row)


def forget_inbound() -> None:
    inbound.forget_old()


def look_over() -> None:
    """Nothing waits unseen at a connection that was changed, stopped or taken away."""
    eventlog.look_over()


def tell_partner(lane_id: str) -> None:
    trouble.tell(lane_id)


def tell_partners() -> None:
    """Those whose e-mail did not get out when the trouble came; each by itself, so that one cannot stop the others."""
    for lane_id in trouble.untold():
        background.enqueue("integrations.jobs.tell_partner", str(lane_id))
