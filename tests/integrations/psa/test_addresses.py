"""The address guard: no spelling, answer or change of mind of a name leads to an inner address."""

from __future__ import annotations

import ipaddress
import itertools

import pytest

from integrations.psa import wire
from integrations.psa.addresses import ANY_PORT, AddressPolicy, checked_addresses
from integrations.psa.errors import AddressRefused, PsaError, Unreachable
from tests.integrations.psa.conftest import LOCAL, MakeTransport
from tests.integrations.psa.servers import RawServer, always, http

TICKET = http(b'{"id": 41}', "201 Created")
PUBLIC_ONLY = AddressPolicy(allow_http=True, allowed_ports=(ANY_PORT,))
EVERYTHING_PRIVATE = AddressPolicy(
    allow_http=True, allowed_networks=("0.0.0.0/0", "::/0"), allowed_ports=(ANY_PORT,)
)

INNER = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.254 127.0.0.1 127.1.2.3 127.255.255.255
169.254.0.1 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.170 192.0.2.1 192.31.196.1 192.52.193.1
192.88.99.1 192.168.0.1 192.168.255.255 192.175.48.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1
224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 168.63.129.16
:: ::1 ::2 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:8.8.8.8 ::ffff:0:127.0.0.1
64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1::1 100::1 2001::1 2001:0:7f00:1::1 2001:2::1 2001:10::1 2001:20::1
2001:db8::1 2002:7f00:1::1 2002:808:808::1 3fff::1 5f00::1 fc00::1 fd00::1 fd00:ec2::254 fd20:ce::254 fe80::1
fe80::1%1 febf::1 fec0::1 ff02::1 ff0e::1 4000::1 8000::1
""".split()  # noqa: SIM905 - a list of one address a line would be four screens long

NEVER = """
0.0.0.0 169.254.169.254 169.254.170.2 100.100.100.200 192.0.0.192 168.63.129.16 224.0.0.1 255.255.255.255
:: ::127.0.0.1 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe 2002:a9fe:a9fe::1 2001:0:a9fe:a9fe::1 fd00:ec2::254
fd20:ce::254 fe80::a9fe:a9fe fec0::1 ff02::1
""".split()  # noqa: SIM905 - a list of one address a line would be four screens long

PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "100.63.255.255",
    "100.128.0.1",
    "172.32.0.1",
    "2606:4700::1111",
    "2a00:1450::1",
]


def resolved(*addresses: str, policy: AddressPolicy = PUBLIC_ONLY) -> list[str]:
    found = checked_addresses(
        "psa.example.com", 443, policy=policy, resolver=lambda host, port: addresses, within=1.0
    )
    return [str(address) for address in found]


def test_the_list_of_inner_addresses_is_long_enough() -> None:
    assert len(set(INNER)) >= 60


@pytest.mark.parametrize("address", INNER)
def test_a_name_at_an_inner_address_is_refused(address: str) -> None:
    with pytest.raises(AddressRefused):
        resolved(address)


@pytest.mark.parametrize("address", INNER)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_inner_address_among_public_ones_refuses_the_name(address: str, place: int) -> None:
    answers = ["8.8.8.8", "2606:4700::1111"]
    answers.insert(place, address)
    with pytest.raises(AddressRefused):
        resolved(*answers)


@pytest.mark.parametrize("address", NEVER)
def test_metadata_stays_shut_even_when_the_operator_opens_everything(address: str) -> None:
    with pytest.raises(AddressRefused):
        resolved(address, policy=EVERYTHING_PRIVATE)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    assert resolved(address) == [address]


@pytest.mark.parametrize("address", ["10.1.2.3", "192.168.7.9", "127.0.0.1", "fd12::1", "::1", "100.64.0.9"])
def test_the_operator_can_open_private_networks(address: str) -> None:
    assert resolved(address, policy=EVERYTHING_PRIVATE) == [address]
    network = f"{address}/{ipaddress.ip_address(address).max_prefixlen}"
    assert resolved(address, policy=AddressPolicy(allowed_networks=(network,))) == [address]
    with pytest.raises(AddressRefused):
        resolved("10.9.9.9", policy=AddressPolicy(allowed_networks=(network,)))


@pytest.mark.parametrize("answer", ["localhost", "", "0x7f000001", "127.1", "8.8.8.8/32"])
def test_a_resolver_that_answers_nonsense_is_refused(answer: str) -> None:
    with pytest.raises(AddressRefused):
        resolved(answer)


def test_a_name_without_an_address_is_unreachable() -> None:
    with pytest.raises(Unreachable):
        resolved()


def test_a_wrong_network_stops_the_start() -> None:
    with pytest.raises(ValueError, match="does not appear"):
        AddressPolicy(allowed_networks=("10.0.0.0/33",))


def test_the_refusal_does_not_tell_the_address() -> None:
    with pytest.raises(AddressRefused) as caught:
        resolved("10.11.12.13")
    assert "10.11" not in str(caught.value) + caught.value.advice
    assert caught.value.field == "site_url"


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::1]", "[::ffff:7f00:1]"],
)
def test_the_canary_is_never_called_whatever_its_address_is_spelled_like(
    host: str, transport: MakeTransport
) -> None:
    with RawServer(always(TICKET)) as canary:
        with pytest.raises(PsaError):
            transport(f"http://{host}:{canary.port}", policy=PUBLIC_ONLY).write("POST", "/tickets", {})
        assert canary.connections == 0


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::ffff:127.0.0.1"])
def test_the_canary_is_never_called_by_a_name_that_leads_to_it(
    address: str, transport: MakeTransport
) -> None:
    with RawServer(always(TICKET)) as canary:
        site = f"http://psa.example.com:{canary.port}"
        calls = transport(site, policy=PUBLIC_ONLY, resolver=lambda host, port: [address])
        with pytest.raises(AddressRefused) as caught:
            calls.write("POST", "/tickets", {})
        assert not caught.value.outcome_unknown
        with pytest.raises(AddressRefused):
            calls.read("/tickets/41")
        assert canary.connections == 0


def test_a_name_is_resolved_once_for_each_connection_so_it_cannot_change_its_mind(
    transport: MakeTransport,
) -> None:
    """DNS rebinding: the checked answer is the one that is connected to."""
    answers = itertools.chain([["127.0.0.1"]], itertools.repeat(["169.254.169.254"]))
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return next(answers)

    with RawServer(always(TICKET)) as server:
        calls = transport(f"http://psa.example.com:{server.port}", resolver=rebinding)
        for _ in range(3):
            assert calls.write("POST", "/tickets", {}).data == {"id": 41}
        assert (asked, server.connections) == (["psa.example.com"], 1)


def test_a_new_connection_after_a_rebind_is_refused(
    transport: MakeTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])
    with RawServer(always(TICKET)) as server:
        calls = transport(f"http://psa.example.com:{server.port}", resolver=lambda host, port: next(answers))
        calls.write("POST", "/tickets", {})
        monkeypatch.setattr(wire, "MAX_IDLE", 0.0)
        with pytest.raises(AddressRefused):
            calls.write("POST", "/tickets", {})
        assert server.connections == 1


def test_a_socket_that_ended_up_elsewhere_is_refused(
    transport: MakeTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire._TimedSocket, "getpeername", lambda sock: ("10.0.0.1", 443), raising=False)
    with RawServer(always(TICKET)) as server:
        with pytest.raises(AddressRefused):
            transport(server.url).write("POST", "/tickets", {})
        assert server.requests == []


def test_the_next_address_is_tried_when_the_first_does_not_answer(transport: MakeTransport) -> None:
    with RawServer(always(TICKET)) as server:
        site = f"http://psa.example.com:{server.port}"
        calls = transport(site, policy=LOCAL, resolver=lambda host, port: ["127.0.0.9", "127.0.0.1"])
        assert calls.write("POST", "/tickets", {}).data == {"id": 41}


@pytest.mark.parametrize(
    ("policy", "port", "may"),
    [
        (AddressPolicy(), 443, True),
        (AddressPolicy(), 80, False),
        (AddressPolicy(), 22, False),
        (AddressPolicy(allow_http=True), 80, True),
        (AddressPolicy(allowed_ports=(8443,)), 8443, True),
        (AddressPolicy(allowed_ports=(8443,)), 443, True),
        (AddressPolicy(allowed_ports=(ANY_PORT,)), 22, True),
    ],
)
def test_ports_are_the_operators_choice(policy: AddressPolicy, port: int, may: bool) -> None:
    assert policy.may_use_port(port) is may
