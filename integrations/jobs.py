"""What the worker does for this room: ids in, one operation, harmless to repeat."""

from __future__ import annotations

import logging

from integrations import choices, companies, connections, eventlog, suggestions, trouble
from integrations.models import Credentials, Delivery
from integrations.models.connections import Kind
from integrations.psa.errors import PsaError
from portal import background

logger = logging.getLogger(__name__)


def test_connection(credentials_id: str) -> None:
    row = Credentials.objects.select_related("lane").filter(pk=credentials_id).first()
    if row is not None:
        connections.test(row)


def reload_choices(credentials_id: str) -> None:
    row = Credentials.objects.select_related("lane").filter(pk=credentials_id).first()
    if row is None:
        return
    try:
        choices.reload(row)
    except PsaError as error:
        logger.warning("Options could not be reloaded for %s: %s", row.pk, error.text)
        return
    suggestions.refresh(row)


def suggest_companies() -> None:
    """New clients and new companies are compared by themselves; the suggestions wait for a person."""
    for row in Credentials.objects.exclude(kind=Kind.NONE).defer("secret"):
        suggestions.refresh(row)


def release_decided() -> None:
    companies.release_decided()


def reprocess(*delivery_ids: str) -> None:
    eventlog.reprocess(Delivery.objects.filter(pk__in=delivery_ids))


def look_over() -> None:
    """Nothing waits unseen at a connection that was changed, stopped or taken away."""
    eventlog.look_over()


def tell_partner(lane_id: str) -> None:
    trouble.tell(lane_id)


def tell_partners() -> None:
    """Those whose e-mail did not get out when the trouble came; each by itself, so that one cannot stop the others."""
    for lane_id in trouble.untold():
        background.enqueue("integrations.jobs.tell_partner", str(lane_id))
