"""Which network addresses a PSA may have (asked by the wire before every connect, and when a site is typed in).

The partner chooses the host name, so the name proves nothing: every address it resolves to is judged here, and the
connection is then made to that very address (`wire.py`), so a name that changes its mind has no second chance.
"""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from integrations.psa.errors import AddressRefused, Unreachable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Sequence[str]]

ANY_PORT = 0

# Refused whatever the operator allows: cloud metadata (AWS, Azure, Google, Alibaba, Oracle; link-local as a whole),
# "this host", multicast, broadcast, and IPv6 forms that only wrap an IPv4 address.
_NEVER = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "100.100.100.200/32",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "192.0.0.192/32",
        "224.0.0.0/4",
        "255.255.255.255/32",
        "::/128",
        "::ffff:0:0/96",
        "::ffff:0:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2001::/32",
        "2002::/16",
        "fd00:ec2::/32",
        "fd20:ce::/32",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)

# Not public, on top of what `ipaddress` knows (its tables differ between patch releases of Python): IANA special
# purpose registries. Of IPv6 only 2000::/3 is handed out to the public at all.
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "240.0.0.0/4",
        "2001::/23",
        "2001:db8::/32",
        "3fff::/20",
    )
)
_PUBLIC_IPV6 = ipaddress.IPv6Network("2000::/3")
_IPV4_COMPATIBLE = ipaddress.IPv6Network("::/96")
_LOOPBACK_IPV6 = ipaddress.IPv6Address("::1")


@dataclass(frozen=True, kw_only=True)
class AddressPolicy:
    """What an operator lets partners connect to. The default: https on port 443, public addresses, nothing else.

    `allowed_networks` (CIDR) open private ranges for on-premise PSAs; metadata and link-local addresses stay shut.
    `allowed_ports` are allowed besides 443 (and 80 with `allow_http`); `ANY_PORT` in it allows all.
    `ca_bundle` is a file of certificate authorities to trust in place of the usual ones.
    """

    allow_http: bool = False
    allowed_networks: tuple[str, ...] = ()
    allowed_ports: tuple[int, ...] = (443,)
    ca_bundle: str = ""

    def __post_init__(self) -> None:
        """A wrong network must stop the start, not the first call."""
        assert self.networks is not None

    @cached_property
    def networks(self) -> tuple[Network, ...]:
        return tuple(ipaddress.ip_network(text) for text in self.allowed_networks)

    def may_use_port(self, port: int) -> bool:
        usual = (443, 80) if self.allow_http else (443,)
        return port in usual or port in self.allowed_ports or ANY_PORT in self.allowed_ports

    def may_connect_to(self, address: Address) -> bool:
        if _is_never_allowed(address):
            return False
        return _is_public(address) or any(
            address in network for network in self.networks if network.version == address.version
        )


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _is_never_allowed(address: Address) -> bool:
    if address.is_unspecified or address.is_multicast or address.is_link_local or _is_in(address, _NEVER):
        return True
    return address in _IPV4_COMPATIBLE and address != _LOOPBACK_IPV6


def _is_public(address: Address) -> bool:
    if not address.is_global or address.is_reserved or address.is_private or _is_in(address, _NOT_PUBLIC):
        return False
    return address.version == 4 or address in _PUBLIC_IPV6


def system_resolver(host: str, port: int) -> list[str]:
    """Ask the operating system; every address once, in its order."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def literal_address(host: str) -> Address | None:
    """The address when the host is one in its usual spelling, else None."""
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None


def checked_addresses(
    host: str, port: int, *, policy: AddressPolicy, resolver: Resolver, within: float
) -> list[Address]:
    """All addresses of the host, each of them allowed. One bad answer among good ones refuses the name."""
    literal = literal_address(host)
    addresses = [literal] if literal else _resolved(host, port, resolver, within)
    for address in addresses:
        require_allowed(address, host, policy)
    return addresses


def require_allowed(address: Address, host: str, policy: AddressPolicy) -> None:
    if not policy.may_connect_to(address):
        raise address_refused(host)


def address_refused(host: str) -> AddressRefused:
    """The refusal does not tell which address it was: that would make us a resolver for inner networks."""
    return AddressRefused(
        f"{host} is not at an address that may be called from here.",
        field="site_url",
        advice="Check the site. If the PSA stands in a private network, the operator of this portal has to allow"
        " that network first.",
    )


def _resolved(host: str, port: int, resolver: Resolver, within: float) -> list[Address]:
    texts = _resolve_in_time(host, port, resolver, within)
    try:
        addresses = [ipaddress.ip_address(text) for text in texts]
    except ValueError:
        raise address_refused(host) from None
    if not addresses:
        raise Unreachable(f"The name {host} has no address.", advice=_NAME_ADVICE)
    return addresses


_NAME_ADVICE = "Check the spelling of the site, and whether it can be reached from the internet."


def _resolve_in_time(host: str, port: int, resolver: Resolver, within: float) -> Sequence[str]:
    """Name look-ups have no time-out of their own, so they run aside. Only new connections come here."""
    box: queue.SimpleQueue[Sequence[str] | Exception] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            box.put(resolver(host, port))
        except Exception as error:  # noqa: BLE001 - raised again in the thread that waits
            box.put(error)

    threading.Thread(target=look_up, name="resolve", daemon=True).start()
    try:
        found = box.get(timeout=max(within, 0.001))
    except queue.Empty:
        raise Unreachable(f"Looking up the name {host} took too long.", advice=_NAME_ADVICE) from None
    if isinstance(found, (OSError, UnicodeError)):
        raise Unreachable(f"The name {host} could not be found.", advice=_NAME_ADVICE) from found
    if isinstance(found, Exception):
        raise found
    return found
