"""How bytes reach a PSA: to a checked address, and never past the call's deadline (asked by `transport.py`).

urllib3's time-outs are for one read each, so a server that drips a byte now and then holds a caller for ever. The
sockets here look at the clock of the running call before each read and write; that bounds headers, bodies, TLS and
keep-alive connections alike, without a watchdog thread.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from integrations.psa.addresses import (
    Address,
    AddressPolicy,
    Resolver,
    address_refused,
    checked_addresses,
    literal_address,
)
from integrations.psa.errors import Unreachable

# Load balancers forget idle connections after a minute or more, some without telling: a write into such a hole would
# be an unknown outcome for nothing.
MAX_IDLE = 45.0

_running = threading.local()


class Halted(Exception):
    """The caller's hook did not want the request to be sent; its own error is on the call."""


class Call:
    """The one call this thread is making: until when, to which addresses, and whether a byte has left."""

    __slots__ = (
        "before_send",
        "connect_timeout",
        "ends_at",
        "is_sent",
        "outer",
        "policy",
        "refusal",
        "resolver",
    )

    def __init__(
        self,
        *,
        ends_at: float,
        connect_timeout: float,
        policy: AddressPolicy,
        resolver: Resolver,
        before_send: Callable[[], None] | None = None,
    ) -> None:
        self.ends_at = ends_at
        self.connect_timeout = connect_timeout
        self.policy = policy
        self.resolver = resolver
        self.before_send = before_send
        self.is_sent = False
        self.refusal: BaseException | None = None
        self.outer: Call | None = None

    def __enter__(self) -> Call:
        self.outer = getattr(_running, "call", None)
        _running.call = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _running.call = self.outer

    def remaining(self) -> float:
        left = self.ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError("the call's total deadline has passed")
        return left

    def to_connect(self) -> float:
        return min(self.connect_timeout, self.remaining())

    def ask_before_send(self) -> None:
        if self.before_send is None:
            return
        try:
            self.before_send()
        except BaseException as error:
            self.refusal = error
            raise Halted from error


def _call() -> Call:
    """No call, no network: nothing can use these connections past `transport.py`."""
    call: Call | None = getattr(_running, "call", None)
    if call is None:
        raise RuntimeError("PSA connections are only used through Transport.")
    return call


class _TimedSocket(socket.socket):
    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        self.settimeout(_call().remaining())
        return super().recv_into(buffer, nbytes, flags)

    def sendall(self, data: Any, flags: int = 0) -> None:
        call = _call()
        self.settimeout(call.remaining())
        call.is_sent = True
        super().sendall(data, flags)


class _TimedTlsSocket(ssl.SSLSocket):
    """Encrypted writes go through `send` piece by piece, so that is where the clock is looked at."""

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        self.settimeout(_call().remaining())
        return super().recv_into(buffer, nbytes, flags)

    def send(self, data: Any, flags: int = 0) -> int:
        call = _call()
        self.settimeout(call.remaining())
        call.is_sent = True
        return super().send(data, flags)


def tls_context(ca_bundle: str) -> ssl.SSLContext:
    """Certificates and names are always verified; there is no switch for that."""
    context = ssl.create_default_context(cafile=ca_bundle)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = _TimedTlsSocket
    return context


def _open(host: str, port: int, options: Any) -> socket.socket:
    """Connect to the first address that answers, all of them being checked."""
    call = _call()
    addresses = checked_addresses(
        host, port, policy=call.policy, resolver=call.resolver, within=call.to_connect()
    )
    failure: OSError | None = None
    for address in addresses:
        try:
            return _connected(address, host, port, options, call)
        except OSError as error:
            failure = error
    raise Unreachable(f"No connection to {host}: {_reason(failure)}.") from failure


def _reason(error: OSError | None) -> str:
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    return (error.strerror if error and error.strerror else "it does not answer").lower()


def _connected(address: Address, host: str, port: int, options: Any, call: Call) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    sock = _TimedSocket(family, socket.SOCK_STREAM)
    try:
        for option in options or ():
            sock.setsockopt(*option)
        sock.settimeout(call.to_connect())
        sock.connect((str(address), port))
        if literal_address(str(sock.getpeername()[0])) != address:
            raise address_refused(host)
        sock.settimeout(call.to_connect())  # for the TLS handshake, which Python bounds as a whole
        return sock
    except BaseException:
        sock.close()
        raise


class _Pinned(HTTPConnection):
    """What both kinds of connection do differently from urllib3's."""

    last_used = 0.0

    def _new_conn(self) -> socket.socket:
        return _open(self._dns_host, self.port or self.default_port, self.socket_options)

    @property
    def is_connected(self) -> bool:
        return super().is_connected and time.monotonic() - self.last_used < MAX_IDLE

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        call = _call()
        if self.sock is None:
            self.connect()
        self.last_used = time.monotonic()
        call.ask_before_send()
        super().request(method, url, *args, **kwargs)


class PinnedHTTPConnection(_Pinned):
    pass


class PinnedHTTPSConnection(_Pinned, HTTPSConnection):
    pass


class PinnedHTTPConnectionPool(HTTPConnectionPool):
    ConnectionCls = PinnedHTTPConnection


class PinnedHTTPSConnectionPool(HTTPSConnectionPool):
    ConnectionCls = PinnedHTTPSConnection


POOLS = {"http": PinnedHTTPConnectionPool, "https": PinnedHTTPSConnectionPool}
