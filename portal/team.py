"""A partner's people: invited, given a role, taken out (asked by Team & Tokens and REST).

A machine is no person: it gives nobody more than Partner Viewer, changes nobody's role, and does no more than whoever
made it could do on the page at this moment.
"""

from __future__ import annotations

import logging

from django.db import IntegrityError, transaction

from portal import access, letters, secondfactor, sessions, throttle, tokens
from portal.models import ApiToken, Membership, Partner, Role, User
from portal.throttle import Try

logger = logging.getLogger(__name__)


class Refused(Exception):
    """What was asked for is not possible; the text says why, a stable `code` says it to machines."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class TooMany(Exception):
    """So many invitations were sent that the next has to wait for `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Too many invitations; wait {seconds} seconds.")
        self.wait = seconds


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
            raise Refused("not_invitable", "This address cannot be invited. Ask the vendor’s support.")
        if person is None:
            person = User.objects.create_user(email)
        try:
            with transaction.atomic():
                return Membership.objects.create(partner=partner, user=person, role=role)
        except IntegrityError:
            raise Refused("member_already", f"{email} is a member already.") from None


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
        raise Refused("last_manager", "The last Partner Senior Manager stays: make somebody else one first.")


# --- What machines may do ---------------------------------------------------------------------------------------------


def check_maker(token: ApiToken, partner: Partner) -> None:
    """Raises Refused unless whoever made this token may change the partner's people, now.

    A person proves who they are before they make a token, and a token proves nothing: it is worth what its maker is.
    """
    maker = token.created_by
    if maker is None:
        raise Refused(
            "maker_unknown",
            "Nobody answers for this token: people are changed by a token that somebody made on Team & Tokens.",
        )
    if not access.may_manage(maker, partner):
        raise Refused("maker_may_not", "Whoever made this token may not change people here any more.")
    if secondfactor.must_now(maker) and not secondfactor.has_one(maker):
        raise Refused("maker_may_not", "Whoever made this token has to set up a second factor first.")


def invite_by_token(token: ApiToken, partner: Partner, email: str) -> tuple[Membership, bool]:
    """Make somebody a Partner Viewer; see `invite`. Raises Refused, and TooMany."""
    check_maker(token, partner)
    if wait := throttle.take(Try("invitation", str(partner.pk))):
        raise TooMany(wait)
    return invite(partner, email, Role.VIEWER)


def remove_by_token(token: ApiToken, membership: Membership) -> None:
    """Raises Refused."""
    check_maker(token, membership.partner)
    remove(membership)


def sign_out_by_token(token: ApiToken, membership: Membership) -> int:
    """Out of every browser; how many these were. Raises Refused."""
    check_maker(token, membership.partner)
    assert token.created_by is not None
    if membership.user.is_staff and not access.is_vendor(token.created_by):
        raise Refused("persons_own", "This person belongs to the vendor. Ask the vendor’s support.")
    return sessions.end(membership.user.sign_ins.all())


def revoke_by_token(token: ApiToken, other: ApiToken) -> None:
    """Raises Refused; a token without a partner is the vendor's, and revoked in the admin."""
    assert other.partner is not None
    check_maker(token, other.partner)
    tokens.revoke(other)
