"""What a partner types or pastes as site and key, made usable or refused with a sentence (asked by forms and checks).

A site comes in many shapes: a bare host, with `www.`, a whole browser address. All of them end as one origin, shown
before it is saved. Spellings that only serve to hide where a name leads are refused.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import SplitResult, urlsplit

import idna

from integrations.psa.addresses import AddressPolicy, literal_address, require_allowed
from integrations.psa.errors import Misconfigured

# ConnectWise answers API calls only on the api- host of a region; the host people know is the other one.
# Source: ConnectWise Developer Guide, cloud URLs.
CONNECTWISE_CLOUD = {
    **{
        f"{region}.myconnectwise.net": f"api-{region}.myconnectwise.net"
        for region in ("na", "eu", "au", "aus", "za")
    },
    "staging.connectwisedev.com": "api-staging.connectwisedev.com",
}
_CLOUD_API = {api: ui for ui, api in CONNECTWISE_CLOUD.items()}

# Autotask tells at this host which zone an API user lives in; nobody has to know or enter it.
# Source: Autotask developer help, zone information.
AUTOTASK_SITE = "https://webservices.autotask.net"
_AUTOTASK_DOMAIN = "autotask.net"

MAX_SITE = 2_000
_AROUND = (
    ('"', '"'),
    ("'", "'"),
    ("<", ">"),
    ("(", ")"),
    ("“", "”"),
)  # what mails and documents put around an address
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]*")
# Where the PSA's own pages begin below the place it is installed at.
_PAGE = re.compile(
    r"(v\d+_\w+|apis|services|login|support|atservicesrest)$|.*\.(aspx|html?|rails)$", re.IGNORECASE
)
_INVISIBLE_LETTERS = "\u115f\u1160\u3164\uffa0"


def normalise_site(text: str, *, policy: AddressPolicy) -> str:
    """The origin (and on-premise path) to call, e.g. "https://api-na.myconnectwise.net"."""
    parts = _split(_clean(text))
    host = _host(parts, policy)
    if host in CONNECTWISE_CLOUD or host in _CLOUD_API:
        return f"https://{CONNECTWISE_CLOUD.get(host, host)}"
    scheme = _scheme(parts, policy)
    return f"{scheme}://{_bracketed(host)}{_port(parts, scheme, policy)}{_path(parts)}"


def normalise_autotask_site(text: str, *, policy: AddressPolicy) -> str:
    """Where to ask for the zone. Empty, a zone or a page of Autotask all mean the same; a test network (where the
    operator allows http) is kept as it was typed."""
    if not trimmed(text):
        return AUTOTASK_SITE
    parts = _split(_clean(text))
    host = _host(parts, policy)
    if host == _AUTOTASK_DOMAIN or host.endswith(f".{_AUTOTASK_DOMAIN}"):
        return AUTOTASK_SITE
    if not policy.allow_http:
        raise _refuse(
            "Autotask is called at autotask.net only.",
            "Leave the site empty: the zone is found by the API user's name.",
        )
    scheme = _scheme(parts, policy)
    return f"{scheme}://{_bracketed(host)}{_port(parts, scheme, policy)}{_path(parts)}"


def ui_origin(site: str) -> str:
    """Where people open the PSA that is called at this site."""
    parts = urlsplit(site)
    ui_host = _CLOUD_API.get(parts.hostname or "")
    return f"https://{ui_host}" if ui_host else site.rstrip("/")


def clean_key(text: str, *, field: str = "secret") -> str:
    """A key as it was copied, without blanks and invisible characters around it. Damage inside it is told."""
    key = trimmed(text)
    if not key:
        raise Misconfigured("The key is empty.", field=field)
    if any(_is_invisible(letter) for letter in key):
        raise Misconfigured(
            "The key contains a blank, a line break or an invisible character.",
            field=field,
            advice="Copy it once more from the PSA, without anything before, behind or in between.",
        )
    if key.startswith("gAAAA"):
        raise Misconfigured(
            "This is an encrypted text, not a key.",
            field=field,
            advice="Enter the key as the PSA showed it when it was made.",
        )
    return key


def trimmed(text: str) -> str:
    """Without what copying leaves at both ends: blanks, line breaks, zero-width characters, byte order marks."""
    begin, end = 0, len(text)
    while begin < end and _is_invisible(text[begin]):
        begin += 1
    while end > begin and _is_invisible(text[end - 1]):
        end -= 1
    return text[begin:end]


def _is_invisible(letter: str) -> bool:
    """Blanks, controls, formats such as zero-width joiners, and unassigned or private characters."""
    return unicodedata.category(letter)[0] in "CZ" or letter in _INVISIBLE_LETTERS


def _refuse(text: str, advice: str = "") -> Misconfigured:
    return Misconfigured(
        text,
        field="site_url",
        advice=advice or "Enter the host you sign in at, such as na.myconnectwise.net.",
    )


def _clean(text: str) -> str:
    site = trimmed(text)
    for opening, closing in _AROUND:
        if len(site) > 1 and site[0] == opening and site[-1] == closing:
            site = trimmed(site[1:-1])
    if not site:
        raise _refuse("The site is empty.")
    if len(site) > MAX_SITE:
        raise _refuse("The site is too long.")
    if any(_is_invisible(letter) for letter in site):
        raise _refuse("The site contains a blank, a line break or an invisible character.")
    if "\\" in site:
        raise _refuse("The site contains a backslash.")
    return site


def _split(site: str) -> SplitResult:
    if not re.match(r"[a-z][a-z0-9+.-]*://", site, re.IGNORECASE):
        if site.startswith("/") or re.match(r"[a-z][a-z0-9+.-]*:(?!\d+(/|\?|#|$))", site, re.IGNORECASE):
            raise _refuse("The site is not written like a web address.")
        site = f"https://{site}"
    try:
        parts = urlsplit(site)
        assert parts.port is None or parts.port > 0
    except (ValueError, AssertionError):
        raise _refuse("The site is not written like a web address.") from None
    if "@" in parts.netloc:
        raise _refuse("The site contains a user name. Enter the host only; keys have their own fields.")
    return parts


def _scheme(parts: SplitResult, policy: AddressPolicy) -> str:
    scheme = parts.scheme.lower()
    if scheme == "https" or (scheme == "http" and policy.allow_http):
        return scheme
    if scheme == "http":
        raise _refuse(
            "http: sends the keys unprotected, so it is refused.",
            "Enter the host without http:, or with https:.",
        )
    raise _refuse(f"A site begins with https:, not with {scheme}:.")


def _host(parts: SplitResult, policy: AddressPolicy) -> str:
    _scheme(parts, policy)
    host = (parts.hostname or "").lower()
    if "%" in host or "%" in parts.netloc:
        raise _refuse("The host of the site is written in an unusual way.")
    literal = literal_address(host)
    if parts.netloc.startswith("[") and (literal is None or literal.version == 4):
        raise _refuse("The host of the site is written in an unusual way.")
    if literal:
        if literal.version == 6 and not parts.netloc.startswith("["):
            raise _refuse("The host of the site is written in an unusual way.")
        require_allowed(literal, str(literal), policy)
        return str(literal)
    return _host_name(_ascii(host).removeprefix("www."), policy)


def _ascii(host: str) -> str:
    """IDNA (UTS 46). Look-alikes of plain letters, digits and dots are refused rather than translated."""
    if host.isascii() and "xn--" not in host:
        return host
    if any(unicodedata.normalize("NFKC", letter) != letter for letter in host) or "\u3002" in host:
        raise _refuse("The host of the site contains characters that only look like usual ones.")
    try:
        return idna.encode(host, uts46=True, std3_rules=True).decode()
    except idna.IDNAError:
        raise _refuse("The host of the site is not a valid name.") from None


def _host_name(host: str, policy: AddressPolicy) -> str:
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _refuse("The host of the site is not a valid name.")
    if re.fullmatch(r"\d+|0x[0-9a-f]*", labels[-1]):
        raise _refuse("The host of the site is a number written in an unusual way.")
    if len(labels) == 1 and not policy.networks:
        raise _refuse("The host of the site has no domain.")
    return host


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _port(parts: SplitResult, scheme: str, policy: AddressPolicy) -> str:
    usual = 443 if scheme == "https" else 80
    port = parts.port or usual
    if not policy.may_use_port(port):
        raise _refuse(
            f"Port {port} may not be called from here.", "Ask the operator of this portal to allow the port."
        )
    return "" if port == usual else f":{port}"


def _path(parts: SplitResult) -> str:
    """The place where an on-premise PSA is installed, without the page that was open."""
    kept: list[str] = []
    for segment in parts.path.split("/"):
        if _PAGE.match(segment):
            break
        if segment and not _SEGMENT.fullmatch(segment):
            raise _refuse("The path of the site contains unusual characters.")
        kept.append(segment)
    path = "/".join(kept).strip("/")
    return f"/{path}" if path else ""
