"""Every way a call can go wrong on the wire, against servers on real sockets."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache
from pathlib import Path

import psutil
import pytest

from integrations.psa import wire
from integrations.psa.addresses import AddressPolicy
from integrations.psa.answers import retry_after
from integrations.psa.errors import Misconfigured, PsaError, Throttled, Unreachable
from integrations.psa.port import Exchange
from integrations.psa.transport import Transport
from tests.integrations.psa.conftest import MakeTransport
from tests.integrations.psa.servers import (
    RawServer,
    Script,
    Talk,
    always,
    answering,
    certificate,
    http,
    seconds_at_most,
    wait_until,
)

TICKET = http(b'{"id": 41, "summary": "Backup failed"}', "201 Created")
SECRET = 'p"rivate/Key+41'


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def write(transport: Transport) -> object:
    return transport.write("POST", "/tickets", {"summary": "Backup failed"}).data


def failure(transport: Transport) -> PsaError:
    with pytest.raises(PsaError) as caught:
        write(transport)
    return caught.value


def test_a_write_answers_the_record(transport: MakeTransport) -> None:
    with RawServer(always(TICKET)) as server:
        calls = transport(server.url)
        assert write(calls) == {"id": 41, "summary": "Backup failed"}
        assert b'{"summary": "Backup failed"}' in server.requests[0]
        assert (calls.reads, calls.writes) == (0, 1)


def test_calls_share_one_kept_alive_connection(transport: MakeTransport) -> None:
    with RawServer(always(TICKET)) as server:
        calls = transport(server.url)
        for _ in range(5):
            write(calls)
        assert server.connections == 1


def test_a_connection_that_the_server_closed_meanwhile_is_replaced_before_a_write(
    transport: MakeTransport,
) -> None:
    with RawServer(answering(TICKET), always(TICKET)) as server:
        calls = transport(server.url)
        write(calls)
        time.sleep(0.05)
        assert write(calls)
        assert (server.connections, len(server.requests)) == (2, 2)


def test_a_connection_that_was_idle_for_long_is_not_trusted_with_a_write(
    transport: MakeTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(always(TICKET)) as server:
        calls = transport(server.url)
        write(calls)
        monkeypatch.setattr(wire, "MAX_IDLE", 0.0)
        write(calls)
        assert server.connections == 2


def test_threads_share_the_connection_pool(transport: MakeTransport) -> None:
    with RawServer(always(TICKET)) as server:
        first = transport(server.url)
        answers: list[object] = []

        def work() -> None:
            mine = transport(server.url, shared=first.shared)
            answers.extend(write(mine) for _ in range(20))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(answers) == 160
        assert server.connections <= 8


# --- what is known about a write that failed ---------------------------------------------------------------------


def test_a_refused_connection_means_that_nothing_was_written(transport: MakeTransport) -> None:
    error = failure(transport(f"http://127.0.0.1:{closed_port()}"))
    assert isinstance(error, Unreachable)
    assert not error.outcome_unknown


def test_an_unknown_name_means_that_nothing_was_written(transport: MakeTransport) -> None:
    def nobody(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "not known")

    error = failure(transport("http://psa.example.com", resolver=nobody))
    assert "psa.example.com could not be found" in str(error)
    assert not error.outcome_unknown


def test_a_name_server_that_does_not_answer_is_not_waited_for(transport: MakeTransport) -> None:
    def slow(host: str, port: int) -> list[str]:
        time.sleep(2)
        return ["127.0.0.1"]

    with seconds_at_most(1.0):
        error = failure(transport("http://psa.example.com", resolver=slow, connect_timeout=0.2))
    assert not error.outcome_unknown


def test_a_wrong_certificate_means_that_nothing_was_written(transport: MakeTransport, tmp_path: Path) -> None:
    context, trusted = certificate(tmp_path, "other.example.com")
    policy = AddressPolicy(allowed_networks=("127.0.0.0/8",), allowed_ports=(0,), ca_bundle=str(trusted))
    with RawServer(always(TICKET), context=context) as server:
        site = f"https://psa.example.com:{server.port}"
        error = failure(transport(site, policy=policy, resolver=lambda host, port: ["127.0.0.1"]))
        assert "certificate" in str(error)
        assert not error.outcome_unknown
        assert server.requests == []


def test_the_certificate_is_checked_for_the_name_and_not_for_the_address(
    transport: MakeTransport, tmp_path: Path
) -> None:
    context, trusted = certificate(tmp_path, "psa.example.com")
    names: list[str] = []
    context.sni_callback = lambda sock, name, used: names.append(name)
    policy = AddressPolicy(allowed_networks=("127.0.0.0/8",), allowed_ports=(0,), ca_bundle=str(trusted))
    with RawServer(always(TICKET), context=context) as server:
        site = f"https://psa.example.com:{server.port}"
        calls = transport(site, policy=policy, resolver=lambda host, port: ["127.0.0.1"])
        assert write(calls)
        assert write(calls)
        assert names == ["psa.example.com"]
        assert f"Host: psa.example.com:{server.port}".encode() in server.requests[0]


def test_a_server_that_never_shakes_hands_is_left_at_the_connect_time_out(transport: MakeTransport) -> None:
    policy = AddressPolicy(allowed_networks=("127.0.0.0/8",), allowed_ports=(0,))
    with RawServer(lambda talk: talk.wait()) as server, seconds_at_most(1.5):
        error = failure(transport(f"https://127.0.0.1:{server.port}", policy=policy, connect_timeout=0.3))
    assert not error.outcome_unknown


@pytest.mark.parametrize("name", ["dripping head", "dripping body", "silence", "a body of 1 GB", "reset"])
def test_the_deadline_and_the_cap_hold_behind_tls_too(
    name: str, transport: MakeTransport, tmp_path: Path
) -> None:
    context, trusted = certificate(tmp_path, "psa.example.com")
    policy = AddressPolicy(allowed_networks=("127.0.0.0/8",), allowed_ports=(0,), ca_bundle=str(trusted))
    with RawServer(UNKNOWN[name], context=context) as server, seconds_at_most(2.0):
        site = f"https://psa.example.com:{server.port}"
        calls = transport(site, policy=policy, resolver=lambda host, port: ["127.0.0.1"], deadline=0.5)
        assert failure(calls).outcome_unknown


def silence(talk: Talk) -> None:
    talk.request()
    talk.wait()


def hang_up(talk: Talk) -> None:
    talk.request()


def reset(talk: Talk) -> None:
    talk.request()
    talk.reset()


def half_a_body(talk: Talk) -> None:
    talk.request()
    talk.send(TICKET[:-10])


def half_a_head(talk: Talk) -> None:
    talk.request()
    talk.send(TICKET[:30])


def drip_the_head(talk: Talk) -> None:
    talk.request()
    talk.drip(TICKET, 0.1)


def drip_the_body(talk: Talk) -> None:
    talk.request()
    head, _, body = TICKET.partition(b"\r\n\r\n")
    talk.send(head + b"\r\n\r\n")
    talk.drip(body, 0.15)


def endless_headers(talk: Talk) -> None:
    talk.request()
    talk.send(b"HTTP/1.1 200 OK\r\n")
    while not talk.server.stopping.is_set():
        talk.send(b"X-More: " + b"x" * 500 + b"\r\n")


def endless_header_line(talk: Talk) -> None:
    talk.request()
    talk.send(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while not talk.server.stopping.is_set():
        talk.send(b"x" * 65536)


def endless_continue(talk: Talk) -> None:
    talk.request()
    while not talk.server.stopping.wait(0.01):
        talk.send(b"HTTP/1.1 100 Continue\r\n\r\n")


def gigabyte(talk: Talk) -> None:
    talk.request()
    talk.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1073741824\r\n\r\n")
    while not talk.server.stopping.is_set():
        talk.send(b" " * 65536)


def endless_chunks(talk: Talk) -> None:
    talk.request()
    talk.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not talk.server.stopping.is_set():
        talk.send(b"10000\r\n" + b" " * 65536 + b"\r\n")


@lru_cache
def bomb(times: int) -> bytes:
    """A hundred million blanks, packed as often as said."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    packed = b"".join(packer.compress(b" " * 1_000_000) for _ in range(100)) + packer.flush()
    for _ in range(times - 1):
        packed = gzip.compress(packed)
    coding = "Content-Encoding: " + ", ".join(["gzip"] * times)
    return http(packed, "200 OK", "application/json", coding)


UNKNOWN: dict[str, Script] = {
    "silence": silence,
    "hang up": hang_up,
    "reset": reset,
    "truncated body": half_a_body,
    "truncated head": half_a_head,
    "dripping head": drip_the_head,
    "dripping body": drip_the_body,
    "endless headers": endless_headers,
    "endless header line": endless_header_line,
    "endless 100 Continue": endless_continue,
    "a body of 1 GB": gigabyte,
    "endless chunks": endless_chunks,
    "gzip bomb": always(bomb(1)),
    "gzip bomb in a gzip bomb": always(bomb(2)),
    "no HTTP at all": answering(b"220 mail.example.com ESMTP\r\n"),
    "wrong gzip": always(http(b"not packed", "200 OK", "application/json", "Content-Encoding: gzip")),
    "500": always(http(b'{"code": "InternalServerError"}', "500 Oops")),
    "502 as HTML": always(http(b"<html>Bad gateway", "502 Bad Gateway", "text/html")),
    "503": always(http(b"", "503 Service Unavailable", "text/html", "Retry-After: 30")),
    "408": always(http(b"", "408 Request Timeout")),
    "HTML with 200": always(http(b"<html>We are back soon</html>", "200 OK", "text/html")),
    "JSON called HTML": always(http(b'{"id": 41}', "200 OK", "text/html")),
    "no content type": always(b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"id": 41}'),
    "redirect to sign-in": always(http(b"", "302 Found", "text/html", "Location: /login")),
    "permanent redirect": always(http(b"", "308 Permanent Redirect", "text/html", "Location: /elsewhere")),
    "empty 200": always(http(b"")),
    "blank 200": always(http(b"  \r\n ")),
    "null": always(http(b"null")),
    "a list": always(http(b"[]")),
    "a number": always(http(b"41")),
    "a text": always(http(b'"41"')),
    "half an object": always(http(b'{"id": 41')),
    "two objects": always(http(b'{"id": 41}{"id": 42}')),
    "no number": always(http(b'{"id": NaN}')),
    "wrong letters": always(http(b'{"id": 41, "summary": "\xff\xfe"}')),
    "too deep": always(http(b'{"id":' + b"[" * 100_000)),
    "no id": always(http(b'{"summary": "Backup failed"}')),
    "id null": always(http(b'{"id": null}')),
    "id 0": always(http(b'{"id": 0}')),
}


@pytest.mark.parametrize("script", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_an_unusable_answer_leaves_the_outcome_of_a_write_unknown(
    script: Script, transport: MakeTransport
) -> None:
    with RawServer(script) as server, seconds_at_most(3.0):
        error = failure(transport(server.url, deadline=0.5))
    assert isinstance(error, Unreachable), error
    assert error.outcome_unknown
    assert server.connections == 1, "a write is sent at most once"


WITHOUT_NUMBER = ("no id", "id null", "id 0")


@pytest.mark.parametrize("name", [name for name in UNKNOWN if name not in WITHOUT_NUMBER])
def test_a_read_never_has_an_unknown_outcome_and_is_not_repeated(name: str, transport: MakeTransport) -> None:
    with RawServer(UNKNOWN[name]) as server, seconds_at_most(3.0):
        with pytest.raises(Unreachable) as caught:
            transport(server.url, deadline=0.3).read("/tickets/41")
        assert not caught.value.outcome_unknown
        assert server.connections == 1


@pytest.mark.parametrize(
    "script", [gigabyte, endless_chunks, endless_header_line, always(bomb(1)), always(bomb(2))]
)
def test_no_answer_fills_the_memory(script: Script, transport: MakeTransport) -> None:
    with RawServer(script) as server:
        failure(transport(server.url, deadline=0.3))
        before = psutil.Process().memory_info().rss
        failure(transport(server.url, deadline=1.0))
        assert psutil.Process().memory_info().rss - before < 40 * 1024 * 1024


def test_a_redirect_is_neither_followed_nor_read(transport: MakeTransport) -> None:
    with RawServer(always(TICKET)) as target:

        def away(talk: Talk) -> None:
            talk.request()
            head = f"HTTP/1.1 307 Elsewhere\r\nLocation: {target.url}/tickets\r\nContent-Length: 900000000\r\n\r\n"
            talk.send(head.encode())
            talk.wait()

        with RawServer(away) as server, seconds_at_most(1.0):
            failure(transport(server.url))
        assert target.connections == 0


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"id": "41"}', {"id": "41"}),
        (b'\xef\xbb\xbf{"id": 41}', {"id": 41}),
        (b'{"id": 41, "brandNewField": {"deep": [1]}}', {"id": 41, "brandNewField": {"deep": [1]}}),
        (b'{"id": 41, "summary": "a\\u0000b\\ud800c"}', {"id": 41, "summary": "ab?c"}),
        (b'{"id": 41, "summary": "\\ud83d\\ude00"}', {"id": 41, "summary": "😀"}),
    ],
    ids=["id as text", "byte order mark", "unknown fields", "NUL and half a surrogate", "emoji"],
)
def test_odd_but_usable_answers_are_used(body: bytes, expected: object, transport: MakeTransport) -> None:
    with RawServer(always(http(body))) as server:
        assert write(transport(server.url)) == expected


@pytest.mark.parametrize(
    "kind", ["application/vnd.connectwise.com+json; version=2026.4", "text/json", "Application/JSON"]
)
def test_all_names_of_json_are_taken(kind: str, transport: MakeTransport) -> None:
    with RawServer(always(http(b'{"id": 41}', "200 OK", kind))) as server:
        assert write(transport(server.url)) == {"id": 41}


def test_a_packed_answer_is_unpacked(transport: MakeTransport) -> None:
    packed = gzip.compress(json.dumps([{"id": 41}] * 2000).encode())
    with RawServer(always(http(packed, "200 OK", "application/json", "Content-Encoding: gzip"))) as server:
        assert len(transport(server.url).read("/tickets", shape="list").data) == 2000


def test_a_refusal_is_for_the_adapter_to_judge(transport: MakeTransport) -> None:
    with RawServer(always(http(b'{"code": "NotFound"}', "404 Not Found"))) as server:
        answer = transport(server.url).write("PATCH", "/tickets/41", [])
    assert answer.is_refusal
    assert answer.refusal_data() == {"code": "NotFound"}


def test_a_read_tries_twice_more_to_connect(transport: MakeTransport) -> None:
    asked: list[str] = []

    def flaky(host: str, port: int) -> list[str]:
        asked.append(host)
        if len(asked) < 3:
            raise socket.gaierror(socket.EAI_AGAIN, "try again")
        return ["127.0.0.1"]

    with RawServer(always(TICKET)) as server:
        calls = transport(f"http://psa.example.com:{server.port}", resolver=flaky)
        assert calls.read("/tickets/41").data["id"] == 41
        assert (len(asked), calls.reads) == (3, 1)


def test_a_write_does_not_try_again_to_connect(transport: MakeTransport) -> None:
    asked: list[str] = []

    def broken(host: str, port: int) -> list[str]:
        asked.append(host)
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    failure(transport("http://psa.example.com", resolver=broken))
    assert len(asked) == 1


# --- slowing down ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("30", 30),
        ("1.5", 1.5),
        ("0", 1),
        ("-5", 1),
        ("1000000000", 3600),
        ("1e400", 3600),
        ("nan", 60),
        ("soon", 60),
        ("", 60),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 1),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
        ("Fri, 99 Foo 9999", 60),
        (" 12 ", 12),
    ],
)
def test_retry_after_is_understood_and_clamped(header: str, seconds: float) -> None:
    assert retry_after({"Retry-After": header}) == pytest.approx(seconds)


def test_retry_after_may_be_a_date() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert retry_after({"Retry-After": date}) == pytest.approx(90, abs=2)


@pytest.mark.parametrize("kind", ["application/json", "text/html"])
def test_too_many_requests_is_a_known_no(kind: str, transport: MakeTransport) -> None:
    answer = http(b"<html>", "429 Too Many Requests", kind, "Retry-After: 7")
    with RawServer(always(answer)) as server:
        error = failure(transport(server.url))
    assert isinstance(error, Throttled)
    assert error.retry_after == 7
    assert not error.outcome_unknown


# --- hooks -------------------------------------------------------------------------------------------------------


class LeaseLost(Exception):
    pass


@pytest.mark.parametrize(
    "error", [LeaseLost("too late"), ConnectionResetError("database gone"), KeyboardInterrupt()]
)
def test_what_before_write_raises_keeps_the_write_from_being_sent(
    error: BaseException, transport: MakeTransport
) -> None:
    def lost() -> None:
        raise error

    with RawServer(always(TICKET)) as server:
        calls = transport(server.url, before_write=lost)
        with pytest.raises(type(error)) as caught:
            write(calls)
        assert caught.value is error
        assert server.requests == []


def test_before_write_is_asked_once_the_connection_stands_and_not_for_reads(transport: MakeTransport) -> None:
    connections: list[int] = []
    with RawServer(always(TICKET)) as server:
        calls = transport(server.url, before_write=lambda: connections.append(server.connections))
        calls.read("/tickets/41")
        assert connections == []
        write(calls)
        write(calls)
        assert connections == [1, 1]


def test_before_write_is_not_asked_when_there_is_no_connection(transport: MakeTransport) -> None:
    asked: list[int] = []
    failure(transport(f"http://127.0.0.1:{closed_port()}", before_write=lambda: asked.append(1)))
    assert asked == []


def test_every_call_is_told_without_its_secrets(transport: MakeTransport) -> None:
    calls: list[Exchange] = []
    echo = http(json.dumps({"id": 41, "echo": SECRET, "more": "x" * 9000}).encode())
    with RawServer(always(echo)) as server:
        tell = transport(
            server.url,
            secrets=(SECRET, "dXNlcjpw"),
            on_call=calls.append,
            headers={"Authorization": "Basic dXNlcjpw"},
        )
        tell.write("POST", "/tickets", {"summary": f"my key is {SECRET}"})
        tell.read("/tickets", params={"key": SECRET}, shape="any")
    first, second = calls
    assert (first.method, first.path, first.status) == ("POST", "/tickets", 200)
    assert first.request == '{"summary": "my key is [secret]"}'
    assert 3900 < len(first.response) <= 4000
    assert second.path == "/tickets?key=[secret]"
    assert not any(word in repr(calls) for word in ("rivate", "dXNlcjpw", "Basic"))


def test_a_failed_call_is_told_too(transport: MakeTransport) -> None:
    calls: list[Exchange] = []
    with RawServer(hang_up) as server:
        failure(transport(server.url, on_call=calls.append))
    assert calls[0].status is None
    assert "broke the connection" in calls[0].error


def test_a_refusal_shows_no_secret(transport: MakeTransport) -> None:
    body = json.dumps({"code": "Unauthorized", "message": f"wrong key {SECRET}"}).encode()
    with RawServer(always(http(body, "401 Unauthorized"))) as server:
        answer = transport(server.url, secrets=(SECRET,)).read("/system/info")
    assert answer.refusal_data() == {"code": "Unauthorized", "message": "wrong key [secret]"}


# --- what is never done ------------------------------------------------------------------------------------------


def test_cookies_are_not_kept(transport: MakeTransport) -> None:
    with RawServer(
        always(http(b'{"id": 41}', "200 OK", "application/json", "Set-Cookie: a=b; Path=/"))
    ) as server:
        calls = transport(server.url)
        write(calls)
        write(calls)
        assert b"cookie" not in server.requests[1].lower()
        assert len(calls.shared.session.cookies) == 0


def test_proxies_of_the_environment_are_not_used(
    transport: MakeTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(always(TICKET)) as proxy, RawServer(always(TICKET)) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert write(transport(server.url))
        assert proxy.connections == 0


@pytest.mark.parametrize(
    "site", ["http://psa.example.com", "https://psa.example.com:8443", "ftp://psa.example.com"]
)
def test_only_https_on_its_port_is_called_by_default(site: str, transport: MakeTransport) -> None:
    with pytest.raises(Misconfigured):
        transport(site, policy=AddressPolicy())


def test_the_connections_are_of_no_use_outside_a_call(transport: MakeTransport) -> None:
    with RawServer(always(TICKET)) as server:
        session = transport(server.url).shared.session
        with pytest.raises(RuntimeError):
            session.get(server.url)
        assert server.connections == 0


def test_a_call_within_a_call_keeps_its_own_deadline(transport: MakeTransport) -> None:
    with RawServer(always(TICKET)) as server:
        inner = transport(server.url)

        def read_first() -> None:
            inner.read("/tickets/1")

        outer = transport(server.url, before_write=read_first)
        assert write(outer)
        assert wait_until(lambda: len(server.requests) == 2)
