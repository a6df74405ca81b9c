"""A partner's people: invited, given a role, taken out (asked by Team & Tokens)."""

from __future__ import annotations

import logging

from django.db import IntegrityError, transaction

from portal import letters
from portal.models import Membership, Partner, Role, User

logger = logging.getLogger(__name__)


class Refused(Exception):
    """What was asked for is not possible; the text says why."""


def invite(partner: Partner, email: str, role: str) -> tuple[Membership, bool]:
    """Make somebody a member, with a mail through which they set their password if they have none yet.

    False with it when the mail could not be sent: the person is a member all the same and can ask for the mail at
    “forgot password”. Raises Refused for people of the vendor and for members.
    """
    membership = add(partner, email, role)
    person = membership.user
    if not person.has_usable_password():
        try:
            letters.send_way_in(person, "invitation", partner)
        except OSError:  # also what smtplib raises
            logger.exception("The invitation of %s could not be mailed", person.pk)
            return membership, False
    return membership, True


def add(partner: Partner, email: str, role: str) -> Membership:
    """Make somebody a member, without a mail. Raises Refused for people of the vendor and for members."""
    email = email.strip().lower()
    with transaction.atomic():
        person = User.objects.filter(email__iexact=email).first()
        if person is not None and person.is_staff:
            raise Refused("This address cannot be invited. Ask the vendor’s support.")
        if person is None:
            person = User.objects.create_user(email)
        try:
            with transaction.atomic():
                return Membership.objects.create(partner=partner, user=person, role=role)
        except IntegrityError:
            raise Refused(f"{email} is a member already.") from None


def change_role(membership: Membership, role: str) -> None:
    """Raises Refused when nobody would be left who may set up the partner."""
    with transaction.atomic():
        keep_a_manager(membership, unless=role == Role.SENIOR_MANAGER)
        Membership.objects.filter(pk=membership.pk).update(role=role)


def remove(membership: Membership) -> None:
    """The person may not see this partner from now on. Raises Refused for the last Partner Senior Manager."""
    with transaction.atomic():
        keep_a_manager(membership, unless=False)
        membership.delete()


def keep_a_manager(membership: Membership, *, unless: bool) -> None:
    """Of two who leave at the same moment, one stays: the managers' rows are locked."""
    managers = Membership.objects.select_for_update().filter(
        partner=membership.partner_id, role=Role.SENIOR_MANAGER, user__is_active=True
    )
    others = [row for row in managers if row.pk != membership.pk]
    if membership.role == Role.SENIOR_MANAGER and not others and not unless:
        raise Refused("The last Partner Senior Manager stays: make somebody else one first.")
