"""What the worker does for this room: ids in, one operation, harmless to repeat."""

from __future__ import annotations

import logging

from django.conf import settings
from django.core.mail import send_mail

from integrations import choices, companies, connections, eventlog, suggestions
from integrations.models import Credentials, Delivery, Lane, Status
from integrations.models.connections import Kind
from integrations.psa.errors import PsaError
from portal import clock
from portal.models import Role, User

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


def hold_stranded() -> None:
    """Deliveries whose connection was taken away are held until there is one again; nothing waits unseen."""
    Delivery.objects.filter(status__in=[Status.WAITING, Status.UNKNOWN], lane=None).update(
        status=Status.HELD, reason="no_psa", outcome="The PSA connection of this client was removed."
    )


def tell_partner(lane_id: str) -> None:
    """One e-mail to the partner's managers when a connection stops; a ticket could not tell them."""
    lane = Lane.objects.select_related("partner", "credentials").filter(pk=lane_id).first()
    if lane is None:
        return
    blocked = [block["text"] for block in lane.blocked.values()]
    causes = [text for text in [lane.breaker_text, *blocked] if text]
    managers = User.objects.filter(
        memberships__partner=lane.partner, memberships__role=Role.SENIOR_MANAGER, is_active=True
    )
    if not causes:
        return
    send_mail(
        f"{lane.partner.name}: the connection to {lane.credentials.get_kind_display()} needs you",
        "\n\n".join(
            [
                f"Since {clock.now():%Y-%m-%d %H:%M} UTC tickets and quantities wait:",
                *causes,
                "Nothing is lost. Everything that waits goes out as soon as the connection works again.",
            ]
        ),
        settings.DEFAULT_FROM_EMAIL,
        list(managers.values_list("email", flat=True)),
        fail_silently=True,
    )
