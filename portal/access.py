"""Who is asking and what may they do (asked by pages, API, admin and tenancy)."""

from __future__ import annotations

import uuid
from collections.abc import Set
from typing import TYPE_CHECKING, Final, TypeAlias, Union

from django.contrib.auth.models import AnonymousUser

if TYPE_CHECKING:
    from portal.models import ApiToken, Partner, User

Actor: TypeAlias = Union["User", "ApiToken", AnonymousUser]

EVERY_PARTNER: Final = frozenset({"*"})
"""Sentinel of `partner_ids_of`: vendor staff and vendor-wide tokens; compare with `is`."""


def partner_ids_of(actor: Actor) -> Set[uuid.UUID] | Set[str]:
    """Ids of the partners whose rows the actor may see, or `EVERY_PARTNER`."""
    if is_vendor(actor):
        return EVERY_PARTNER
    if is_token(actor):
        partner_id = getattr(actor, "partner_id", None)
        return frozenset({partner_id} if partner_id else ())
    if not actor.is_authenticated or not actor.is_active:
        return frozenset()
    return actor.partner_ids  # type: ignore[union-attr]


def is_token(actor: Actor) -> bool:
    return getattr(actor, "is_api_token", False)


def is_vendor(actor: Actor) -> bool:
    """Vendor staff signed in, or a vendor-wide token."""
    if is_token(actor):
        return actor.partner_id is None  # type: ignore[union-attr]
    return bool(actor.is_authenticated and actor.is_active and actor.is_staff)  # type: ignore[union-attr]


def may_manage(actor: Actor, partner: Partner) -> bool:
    """Whether the actor may change this partner's set-up: its Partner Senior Managers and vendor staff."""
    if is_token(actor):
        return False
    if is_vendor(actor):
        return True
    if not actor.is_authenticated or not actor.is_active:
        return False
    return partner.pk in actor.managed_partner_ids  # type: ignore[union-attr]
