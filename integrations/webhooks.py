"""One signed message to a webhook of a partner, as Standard Webhooks has it (asked by the worker's sender).

Goes out through the same guarded transport as calls to PSAs: public addresses only, no redirects, a deadline.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from integrations import connections
from integrations.psa.errors import Misconfigured, PsaError
from integrations.psa.port import Exchange
from integrations.psa.transport import SharedConnection, Transport

DEADLINE = 10.0
PREFIX = "whsec_"


class Refused(PsaError):
    """The receiver answered, and said no."""

    kind = "webhook_refused"


def new_secret() -> str:
    """24 random bytes, as the standard recommends."""
    return PREFIX + base64.b64encode(secrets.token_bytes(24)).decode()


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """`v1,` and the base64 HMAC-SHA256 of `<id>.<timestamp>.<body>`."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def check_url(url: str) -> str:
    """The address, if it may be called from here. Raises `Misconfigured`; names are looked up at the call."""
    try:
        parts = urlsplit(url.strip())
        is_whole = bool(parts.hostname) and parts.port != 0 and not parts.fragment
    except ValueError:  # a port or a bracketed address that is none
        is_whole = False
    if not is_whole or any(letter.isspace() for letter in url.strip()):
        raise Misconfigured("Write the whole address, like https://example.com/hook.", field="url")
    transport = Transport(site_of(url), shared=SharedConnection(connections.policy(), pool_size=1))
    transport.shared.close()
    return url.strip()


def site_of(url: str) -> str:
    parts = urlsplit(url.strip())
    return f"{parts.scheme}://{parts.netloc}"


def post(
    url: str,
    payload: dict[str, Any],
    *,
    secret: str,
    message_id: str,
    timestamp: int,
    on_call: Callable[[Exchange], None] | None = None,
) -> int:
    """Send one message; returns the status, from 200 to 299.

    Raises `Refused` for any other answer, `Unreachable`, `Throttled`, or the address guard's refusal.
    """
    body = json.dumps(payload).encode()
    shared = SharedConnection(connections.policy(), pool_size=1)
    try:
        transport = Transport(
            site_of(url),
            shared=shared,
            headers={
                "webhook-id": message_id,
                "webhook-timestamp": str(timestamp),
                "webhook-signature": signature(secret, message_id, timestamp, body),
            },
            secrets=[secret],
            deadline=DEADLINE,
            max_body=64 * 1024,
            on_call=on_call,
        )
        transport.speaking = range(200, 300)
        parts = urlsplit(url.strip())
        answer = transport.write("POST", parts.path + (f"?{parts.query}" if parts.query else ""), payload)
    finally:
        shared.close()
    if answer.status >= 300:
        raise Refused(
            f"{parts.hostname} answered {answer.status}.",
            status=answer.status,
            advice="Look at what the receiver says below; it is tried again by itself.",
        )
    return answer.status
