"""Which zone an API user lives in, and which hosts may call themselves one (asked by `rest.py` before any secret goes
out).

Autotask answers the zone as a URL. A host name in an answer is somebody's claim: only the vendor's own hosts are
believed, or, where the operator allows http for a test network, the host that was asked itself or an address there.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from integrations.psa.addresses import AddressPolicy, literal_address
from integrations.psa.errors import AddressRefused, Unreachable

# A dozen hours: zones move seldom, and a 401 asks again anyway (seen: clients keep it 12 to 24 hours).
KEPT_FOR = 12 * 3600.0
ASK_AT_MOST_EVERY = 60.0

_API_HOST = re.compile(r"webservices\d{1,3}\.autotask\.net")
_UI_HOST = re.compile(r"ww\d{1,3}\.autotask\.net")
_PATH = re.compile(r"(/[A-Za-z0-9._-]{1,60}){0,4}/?")


@dataclass(frozen=True, kw_only=True)
class Zone:
    """`url` is the API root without version ("https://webservices5.autotask.net/ATServicesRest")."""

    url: str
    web_url: str
    asked_at: float

    def as_text(self) -> str:
        return json.dumps({"url": self.url, "web_url": self.web_url, "asked_at": self.asked_at})


def zone_of(data: Any, *, asked: str, policy: AddressPolicy, now: float) -> Zone:
    """What zoneInformation answered, believed only as far as it may be."""
    url = data.get("url") if isinstance(data, dict) else None
    if not isinstance(url, str) or not url:
        raise Unreachable("Autotask did not tell the zone of this API user.")
    root = _believed(url, _API_HOST, asked, policy)
    if root is None:
        raise AddressRefused(
            "The answer named a zone that is not at autotask.net; nothing was sent there.",
            field="site_url",
            advice="Leave the site empty, so that Autotask itself is asked for the zone.",
        )
    web_url = data.get("webUrl")
    web = _believed(web_url, _UI_HOST, asked, policy) if isinstance(web_url, str) else None
    return Zone(url=root, web_url=web or "", asked_at=now)


def remembered(text: str, *, asked: str, policy: AddressPolicy) -> Zone | None:
    """A zone that was kept, judged again: the policy may have changed, and storage proves nothing."""
    try:
        kept = json.loads(text)
        answer = {"url": kept["url"], "webUrl": kept["web_url"]}
        return zone_of(answer, asked=asked, policy=policy, now=float(kept["asked_at"]))
    except (ValueError, KeyError, TypeError, AddressRefused, Unreachable):
        return None


def _believed(url: str, vendor: re.Pattern[str], asked: str, policy: AddressPolicy) -> str | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    host = (parts.hostname or "").lower()
    if "@" in parts.netloc or parts.query or parts.fragment or not _PATH.fullmatch(parts.path):
        return None
    if parts.scheme == "https" and port in (None, 443) and vendor.fullmatch(host):
        return f"https://{host}{parts.path.rstrip('/')}"
    if _is_test_network(parts, host, asked, policy):
        return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"
    return None


def _is_test_network(parts: SplitResult, host: str, asked: str, policy: AddressPolicy) -> bool:
    if not policy.allow_http or parts.scheme not in ("http", "https"):
        return False
    if host == urlsplit(asked).hostname:
        return True
    address = literal_address(host)
    return address is not None and any(
        address in network for network in policy.networks if network.version == address.version
    )
