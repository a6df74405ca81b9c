"""HTTP as clients really speak it."""

import http.client
import socket
import threading

import pytest

from integrations.sandbox import running_sandbox
from integrations.sandbox.messages import Answer, Sending
from integrations.sandbox.server import HttpServer


@pytest.fixture
def echo():
    server = HttpServer(lambda request: Sending(Answer(200, request.method.encode() + b" " + request.body)))
    server.start()
    yield server
    server.stop()


def said(server, *pieces):
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        for piece in pieces:
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_one_connection_carries_many_requests(echo):
    connection = http.client.HTTPConnection("127.0.0.1", echo.port, timeout=5)
    for number in range(3):
        connection.request("POST", "/", str(number))
        assert connection.getresponse().read() == f"POST {number}".encode()
    connection.close()


def test_a_body_may_come_in_pieces_or_chunks(echo):
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n"
    assert said(echo, head, b"abc", b"def").endswith(b"POST abcdef")
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert said(echo, head, b"3\r\nabc\r\n", b"2;x=y\r\nde\r\n0\r\n\r\n").endswith(b"POST abcde")


def test_requests_sent_at_once_are_answered_in_order(echo):
    one = b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n"
    assert said(echo, one + b"a" + one + b"b").count(b"200 OK") == 2


@pytest.mark.parametrize(
    "nonsense",
    [
        b"hello\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    ],
)
def test_what_is_not_http_is_a_400(echo, nonsense):
    assert b"400 Bad Request" in said(echo, nonsense)


def test_stopping_ends_open_connections(echo):
    with socket.create_connection(("127.0.0.1", echo.port), timeout=5) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        connection.recv(65536)
        echo.stop()
        assert connection.recv(65536) == b""


def test_two_sandboxes_stand_beside_each_other():
    with running_sandbox() as one, running_sandbox() as two:
        assert one.port != two.port
        two.control.fault("drop")
        assert one.control.get("faults") == []


def test_many_callers_at_once_get_ids_of_their_own(call, sandbox):
    made = []

    def open_some():
        made.extend(call.open_ticket()["id"] for _ in range(20))

    threads = [threading.Thread(target=open_some) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 160 == len(sandbox.control.journal("ticket"))
