"""E-mails to people about their own access: ways in, and what was changed (asked by the worker and invitations)."""

from __future__ import annotations

from allauth.account.forms import EmailAwarePasswordResetTokenGenerator
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string

from portal import clock
from portal.models import Partner, User

SUBJECTS = {
    "invitation": "You are invited to PSA Portal",
    "way_back": "Choose a new password for PSA Portal",
    "password_changed": "Your password was changed",
    "factor_added": "A second factor was added to your sign-in",
    "factor_removed": "A second factor was removed from your sign-in",
    "factor_reset": "Your second factor was taken away",
    "codes_renewed": "You have new recovery codes",
}


def key_for(person: User) -> str:
    """What a link needs to choose a new password once; it ends with any sign-in or change of password or address."""
    return f"{user_pk_to_url_str(person)}-{EmailAwarePasswordResetTokenGenerator().make_token(person)}"


def send_way_in(person: User, letter: str, partner: Partner | None = None) -> None:
    """The link with which a password is chosen. Raises OSError when the mail server does not take it."""
    url = f"{settings.PORTAL_URL}/accounts/password/reset/key/{key_for(person)}/"
    send(person, letter, url=url, partner=partner, days=settings.PASSWORD_RESET_TIMEOUT // 86400)


def send(person: User, letter: str, **words: object) -> None:
    """Raises OSError when the mail server does not take it."""
    context = {
        "person": person,
        "letter": letter,
        "portal": settings.PORTAL_URL,
        "at": clock.now(),
        "support_text": settings.SUPPORT_TEXT,
        **words,
    }
    body = render_to_string("portal/account/letter.txt", context)
    EmailMessage(SUBJECTS[letter], body, settings.DEFAULT_FROM_EMAIL, [person.email]).send()
