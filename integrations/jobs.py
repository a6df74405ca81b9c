"""What the worker does for this room: ids in, one operation, harmless to repeat."""

from __future__ import annotations

from integrations import companies, doctor, eventlog, reloading, suggestions, trouble
from integrations.models import Credentials, Delivery
from integrations.models.connections import Kind
from portal import background


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
