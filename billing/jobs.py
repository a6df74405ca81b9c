"""What the worker does for this room: ids in, one operation, harmless to repeat."""

from __future__ import annotations

from billing import synchronize
from portal.models import Client


def synchronize_client(client_id: str) -> None:
    client = Client.objects.filter(pk=client_id).first()
    if client is not None:
        synchronize.request(client, cause="button", at_once=True)
