"""Who signs in? The API member by its keys, a person by a token made for him or by the cookies of a hosted tab.

A hosted tab is told `memberid` and `memberHash`; sent back as cookies they prove who looks at it (ConnectWise REST
2026.4, "Impersonation" and "Cookie" of the developer guide).
"""

import base64
import hashlib
import hmac
from datetime import datetime
from http.cookies import CookieError, SimpleCookie

from integrations.sandbox.connectwise.settings import API_MEMBER, Settings
from integrations.sandbox.connectwise.store import Record, Store
from integrations.sandbox.messages import Request


def signed_in(request: Request, settings: Settings, store: Store, now: datetime) -> str | None:
    """The identifier of the member who asks; None when nobody can be made out."""
    authorization = request.headers.get("authorization")
    if authorization == settings.authorization:
        return API_MEMBER
    if authorization is None:
        return _by_cookies(request, settings, store)
    return _by_token(authorization, settings, store, now)


def named(store: Store, identifier: str) -> Record:
    rows = list(store.all("members"))
    return next((row for row in rows if row["identifier"] == identifier), rows[0])


def member_hash(settings: Settings, identifier: str) -> str:
    """Not to be guessed, and other keys make another one."""
    secret = f"{settings.company} {settings.private_key}".encode()
    return hmac.new(secret, identifier.encode(), hashlib.sha256).hexdigest()


def token_keys(settings: Settings, store: Store, member: Record, until: datetime) -> tuple[str, str]:
    """A public key that says for whom and until when, and the private one that belongs to it."""
    public = f"{member['identifier']}.{int(until.timestamp())}"
    return public, _private(settings, public)


def _private(settings: Settings, public: str) -> str:
    return hmac.new(settings.private_key.encode(), public.encode(), hashlib.sha256).hexdigest()[:32]


def _by_token(authorization: str, settings: Settings, store: Store, now: datetime) -> str | None:
    try:
        pair = base64.b64decode(authorization.removeprefix("Basic ")).decode()
    except ValueError:
        return None
    company, _, keys = pair.partition("+")
    public, _, private = keys.partition(":")
    identifier, _, until = public.rpartition(".")
    if company != settings.company or not until.isdigit() or int(until) < now.timestamp():
        return None
    if not hmac.compare_digest(private, _private(settings, public)):
        return None
    return _active(store, identifier)


def _by_cookies(request: Request, settings: Settings, store: Store) -> str | None:
    try:
        cookies = {
            name.lower(): one.value for name, one in SimpleCookie(request.headers.get("cookie", "")).items()
        }
    except CookieError:
        return None
    identifier = cookies.get("memberid", "")
    is_his = hmac.compare_digest(cookies.get("memberhash", ""), member_hash(settings, identifier))
    if cookies.get("companyname") != settings.company or cookies.get("membercontext") != "web" or not is_his:
        return None
    return _active(store, identifier)


def _active(store: Store, identifier: str) -> str | None:
    row = next((one for one in store.all("members") if one["identifier"] == identifier), None)
    return identifier if row and not row.get("inactiveFlag") else None
