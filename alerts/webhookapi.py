"""`/api/v1/webhooks` and `mail-settings`: what goes past the PSAs, for machines."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts import mailsettings, webhooks
from alerts.models import WebhookEndpoint
from alerts.noiseapi import ONE, READ_WRITE
from integrations.api import DeliveryOut
from integrations.models import Delivery
from integrations.models.eventlog import UNSETTLED
from portal import batches, preconditions, rest
from portal.batches import Item
from portal.rest import Problem, actor_of
from portal.restrows import one_of, paged, partner_of, read, refused

SECRET = serializers.CharField(
    allow_null=True, help_text="Told this once: when it is made, and when the address goes to another host."
)
FOR_VENDOR = OpenApiParameter("partner", OpenApiTypes.STR, description="For vendor-wide tokens.")


class WebhookIn(serializers.Serializer[Any]):
    """Where messages go. What is left out has its default, also with PUT."""

    name = serializers.CharField(max_length=200)
    url = serializers.CharField(max_length=500, help_text="https, and reachable from the internet.")
    is_enabled = serializers.BooleanField(default=True)


class WebhookOut(serializers.ModelSerializer[WebhookEndpoint]):
    """One endpoint. While `open_until` lies ahead nothing is sent to it; `trouble` says why."""

    class Meta:
        model = WebhookEndpoint
        fields: ClassVar[Sequence[str]] = (
            "id",
            "partner",
            "name",
            "url",
            "is_enabled",
            "secret_hint",
            "failures",
            "open_until",
            "trouble",
            "last_success_at",
            "created_at",
        )


class WebhookSavedOut(WebhookOut):
    """One endpoint and, this once, its new secret."""

    secret = SECRET

    class Meta(WebhookOut.Meta):
        fields: ClassVar[Sequence[str]] = (*WebhookOut.Meta.fields, "secret")


class SecretOut(serializers.Serializer[Any]):
    secret = SECRET


class RedeliverIn(serializers.Serializer[Any]):
    deliveries = serializers.ListField(
        child=serializers.UUIDField(), allow_empty=False, max_length=batches.MOST_ITEMS
    )


def told(row: WebhookEndpoint, secret: str, status: int) -> Response:
    """The endpoint with its new secret, which no repeat of this request is told again."""
    return rest.told_once({**WebhookOut(row).data, "secret": secret or None}, "secret", status=status)


class Webhooks(APIView):
    """A partner's webhook endpoints."""

    scopes: ClassVar[dict[str, str]] = READ_WRITE

    @extend_schema(operation_id="webhooks_list", responses=WebhookOut(many=True))
    def get(self, request: Request) -> Response:
        """Newest first, in cursor pages."""
        rows = WebhookEndpoint.objects.visible_to(actor_of(request)).defer("secret")
        return paged(self, request, rows, WebhookOut)

    @extend_schema(
        operation_id="webhooks_add",
        parameters=[FOR_VENDOR],
        request=WebhookIn,
        responses={201: WebhookSavedOut},
    )
    def post(self, request: Request) -> Response:
        """The answer has the secret that messages are signed with; it is not told again."""
        partner, asked = partner_of(request), read(WebhookIn, request)
        row, secret = refused(lambda: webhooks.save_endpoint(partner, **asked))
        return told(row, secret, 201)


class OneWebhook(preconditions.Guarded, APIView):
    """One endpoint."""

    scopes: ClassVar[dict[str, str]] = ONE

    @extend_schema(operation_id="webhooks_read", responses=WebhookOut)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        return Response(WebhookOut(webhook_of(request, pk)).data)

    @extend_schema(operation_id="webhooks_change", request=WebhookIn, responses=WebhookSavedOut)
    def put(self, request: Request, pk: uuid.UUID) -> Response:
        """What waited goes to the new address. Another host gets a new secret, which the answer tells this once."""
        row, asked = webhook_of(request, pk), read(WebhookIn, request)
        row, secret = refused(lambda: webhooks.save_endpoint(row.partner, current=row, **asked))
        return told(row, secret, 200)

    @extend_schema(operation_id="webhooks_delete", responses={204: None})
    def delete(self, request: Request, pk: uuid.UUID) -> Response:
        """What waits for it is skipped. 409 while notifications lead to it."""
        row = webhook_of(request, pk)
        try:
            webhooks.delete_endpoint(row)
        except ValidationError as refusal:
            raise Problem(409, "in_use", refusal.messages[0]) from None
        return Response(status=204)

    def state(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        return self.shown(request, self.get(request, *args, **kwargs))

    def shown(self, request: Any, response: Response) -> Any:
        return {name: response.data[name] for name in ("name", "url", "is_enabled", "secret_hint")}


class WebhookSecret(APIView):
    """The secret that messages are signed with."""

    scopes: ClassVar[dict[str, str]] = {"POST": "rules:write"}

    @extend_schema(operation_id="webhooks_renew_secret", request=None, responses=SecretOut)
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """A new one, told this once. The former one is worth nothing from now on."""
        secret = webhooks.rotate_secret(webhook_of(request, pk))
        return rest.told_once({"secret": secret}, "secret")


class WebhookDeliveries(APIView):
    """What was sent to an endpoint, and what it said."""

    scopes: ClassVar[dict[str, str]] = {"GET": "events:read"}

    @extend_schema(operation_id="webhooks_deliveries", responses=DeliveryOut(many=True))
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        """Newest first, in cursor pages."""
        return paged(self, request, sent_to(webhook_of(request, pk)), DeliveryOut)


class Redeliver(APIView):
    """Send messages again, with the same `webhook-id`."""

    scopes: ClassVar[dict[str, str]] = {"POST": "deliveries:write"}

    @extend_schema(operation_id="webhooks_redeliver", request=RedeliverIn, responses={202: batches.ItemsOut})
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Whatever came of them. One result for each, in their order; what is on its way already is left alone."""
        row, asked = webhook_of(request, pk), read(RedeliverIn, request)["deliveries"]
        known = {one.pk: one for one in sent_to(row).filter(pk__in=asked).only("pk", "status")}
        items = [Item({"delivery": key}, row=known.get(key)) for key in asked]
        for item in items:
            if item.row is None:
                item.refuse("deliveries", "not_found", "Nothing with this id was sent to this webhook.")
            elif item.row.status in UNSETTLED:
                item.refuse("deliveries", "under_way", "It is on its way already.")
        webhooks.redeliver(row, [item.row.pk for item in batches.good(items)])
        return Response(batches.results(items), status=202)


def webhook_of(request: Request, pk: uuid.UUID) -> WebhookEndpoint:
    row: WebhookEndpoint = one_of(request, WebhookEndpoint, pk, without=("secret",))
    return row


def sent_to(row: WebhookEndpoint) -> Any:
    return Delivery.objects.filter(webhooks.of_endpoint(row))


# --- E-mail settings --------------------------------------------------------------------------------------------------


class MailSettingsShape(serializers.Serializer[Any]):
    """The e-mail settings of My Account: each that is on keeps a notification with the action E-mail."""

    address = serializers.EmailField(required=False, allow_blank=True)
    no_backup = serializers.BooleanField(required=False)
    no_error_free_backup = serializers.BooleanField(required=False)
    external_ticketing = serializers.BooleanField(required=False)
    external_address = serializers.EmailField(
        required=False, allow_blank=True, help_text="The PSA's mail connector."
    )
    connector_addresses = serializers.ListField(
        child=serializers.EmailField(), required=False, help_text="Addresses that the PSA makes tickets from."
    )


class MailSettingsOut(MailSettingsShape):
    """What is set; an address that nobody entered is empty."""

    address = serializers.CharField()  # type: ignore[assignment]
    external_address = serializers.CharField()  # type: ignore[assignment]
    conflicts = serializers.ListField(
        child=serializers.CharField(), help_text="Settings that together open two tickets for one problem."
    )


class MailSettingsDoor(preconditions.Guarded, APIView):
    """A partner's e-mail settings."""

    scopes: ClassVar[dict[str, str]] = {"GET": "rules:read", "PUT": "rules:write"}

    @extend_schema(operation_id="mail_settings_read", parameters=[FOR_VENDOR], responses=MailSettingsOut)
    def get(self, request: Request) -> Response:
        partner = partner_of(request)
        values = {**vars(mailsettings.entered_of(partner)), "conflicts": mailsettings.conflicts(partner)}
        return Response(MailSettingsOut(values).data)

    @extend_schema(
        operation_id="mail_settings_change",
        parameters=[FOR_VENDOR],
        request=MailSettingsShape,
        responses=MailSettingsOut,
    )
    def put(self, request: Request) -> Response:
        """What is left out stays as it is."""
        partner, asked = partner_of(request), read(MailSettingsShape, request)
        entered = mailsettings.Entered(**{**vars(mailsettings.entered_of(partner)), **asked})
        by = f"token {actor_of(request).prefix}"
        refused(lambda: mailsettings.save_mail_settings(partner, entered, by=by))
        return self.get(request)
