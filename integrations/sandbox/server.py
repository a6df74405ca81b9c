"""A small, fast HTTP/1.1 server: keep-alive, a thread per connection, one write per answer, stops at once.

`http.server` costs about three times as much CPU a request (its header parser alone 0.3 ms), and cannot leave an
answer half said, which a pretend PSA must be able to do.
"""

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from integrations.sandbox.messages import Answer, Request, Sending

LARGEST_BODY = 64 * 1024 * 1024
LARGEST_HEAD = 256 * 1024
_REASONS = {status.value: status.phrase for status in HTTPStatus}

Responder = Callable[[Request], Sending]


class Malformed(Exception):
    """What arrived is not HTTP/1.1."""


class HttpServer:
    """Listens as soon as it is made; answers from `start()` until `stop()`."""

    def __init__(self, respond: Responder, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._respond = respond
        self._listener = socket.create_server((host, port), backlog=512)
        self._listener.settimeout(0.5)
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        self._numbers = itertools.count(1)
        self._thread = threading.Thread(target=self._accept, name="sandbox-accept", daemon=True)
        self.stopping = threading.Event()
        self.host = host
        self.port: int = self._listener.getsockname()[1]

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Close the door and every connection; an answer being written is cut off."""
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._guard:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        if self._thread.is_alive():
            self._thread.join(2)

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                connection, address = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            number = next(self._numbers)
            serve = threading.Thread(target=self._serve, args=(connection, address[0], number), daemon=True)
            serve.start()

    def _serve(self, connection: socket.socket, peer: str, number: int) -> None:
        with self._guard:
            self._open.add(connection)
        try:
            for request in requests_from(connection, peer):
                request.connection = number
                if not self._answer(connection, request) or self.stopping.is_set():
                    return
        except Malformed as error:
            with contextlib.suppress(OSError):
                connection.sendall(packed(Answer(400, str(error).encode(), "text/plain"), close=True))
        except OSError:
            return
        finally:
            with self._guard:
                self._open.discard(connection)
            connection.close()

    def _answer(self, connection: socket.socket, request: Request) -> bool:
        """True when the connection may carry another request."""
        sending = self._respond(request)
        if sending.hold:
            self.stopping.wait(sending.hold)
        if sending.answer is None:
            return False
        close = request.headers.get("connection", "").lower() == "close" or not sending.is_plain
        message = packed(sending.answer, close=close)
        if sending.is_plain:
            connection.sendall(message)
        else:
            self._send_oddly(connection, sending, message)
        return not close

    def _send_oddly(self, connection: socket.socket, sending: Sending, message: bytes) -> None:
        body_starts = message.index(b"\r\n\r\n") + 4
        if sending.sent_bytes is not None:
            message = message[: body_starts + sending.sent_bytes]
        if not sending.seconds_per_byte:
            connection.sendall(message)
            return
        connection.sendall(message[:body_starts])
        for position in range(body_starts, len(message)):
            if self.stopping.wait(sending.seconds_per_byte):
                return
            connection.sendall(message[position : position + 1])


def requests_from(connection: socket.socket, peer: str) -> Iterator[Request]:
    """The requests of one connection, until the other side has said its last."""
    stream = _Stream(connection)
    while head := stream.until(b"\r\n\r\n", LARGEST_HEAD):
        request = parsed_head(head, peer)
        if request.headers.get("expect", "").lower() == "100-continue":
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.body = _body(stream, request)
        yield request


def parsed_head(head: bytes, peer: str) -> Request:
    start, *lines = head.decode("latin-1").split("\r\n")
    words = start.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise Malformed("not an HTTP/1.1 request line")
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise Malformed("a header line has no colon")
        headers[name.strip().lower()] = value.strip()
    return Request(words[0].upper(), words[1], headers, peer=peer)


def packed(answer: Answer, *, close: bool = False) -> bytes:
    lines = [
        f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, 'Unknown')}",
        f"Date: {_date(int(time.time()))}",
        f"Content-Length: {len(answer.body)}",
    ]
    if answer.body or answer.status not in (204, 304):
        lines.append(f"Content-Type: {answer.content_type}")
    lines.extend(f"{name}: {value}" for name, value in answer.headers)
    if close:
        lines.append("Connection: close")
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + answer.body


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


def _body(stream: "_Stream", request: Request) -> bytes:
    if request.headers.get("transfer-encoding", "").lower() == "chunked":
        return b"".join(_chunks(stream))
    try:
        length = int(request.headers.get("content-length") or 0)
    except ValueError as error:
        raise Malformed("Content-Length is not a number") from error
    if not 0 <= length <= LARGEST_BODY:
        raise Malformed("the body is too large")
    return stream.exactly(length)


def _chunks(stream: "_Stream") -> Iterator[bytes]:
    total = 0
    while True:
        try:
            length = int(stream.until(b"\r\n", 1024).split(b";")[0], 16)
        except ValueError as error:
            raise Malformed("a chunk has no length") from error
        total += length
        if total > LARGEST_BODY:
            raise Malformed("the body is too large")
        if not length:
            while stream.until(b"\r\n", LARGEST_HEAD):
                continue
            return
        yield stream.exactly(length)
        stream.exactly(2)


class _Stream:
    """Buffered reading from one socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = b""

    def until(self, mark: bytes, limit: int) -> bytes:
        """What comes before the next mark; empty when the other side has closed."""
        while (end := self._buffer.find(mark)) < 0:
            if len(self._buffer) > limit:
                raise Malformed("too much before the end of the head")
            if not self._more():
                return b""
        found, self._buffer = self._buffer[:end], self._buffer[end + len(mark) :]
        return found

    def exactly(self, length: int) -> bytes:
        if len(self._buffer) < length:
            parts = [self._buffer]
            missing = length - len(self._buffer)
            while missing > 0:
                part = self._connection.recv(min(max(missing, 65536), 1 << 20))
                if not part:
                    raise Malformed("the body ended early")
                parts.append(part)
                missing -= len(part)
            self._buffer = b"".join(parts)
        found, self._buffer = self._buffer[:length], self._buffer[length:]
        return found

    def _more(self) -> bool:
        part = self._connection.recv(65536)
        self._buffer += part
        return bool(part)
