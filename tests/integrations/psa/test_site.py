"""What partners type and paste as site and key."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from integrations.psa.addresses import ANY_PORT, AddressPolicy
from integrations.psa.errors import Misconfigured
from integrations.psa.site import clean_key, normalise_autotask_site, normalise_site, ui_origin
from tests.integrations.psa.conftest import LOCAL

STRICT = AddressPolicy()
WITH_PORT = AddressPolicy(allowed_ports=(8443,))

GOOD = {
    "connectwise.com": "https://connectwise.com",
    "www.connectwise.com": "https://connectwise.com",
    "https://www.connectwise.com/": "https://connectwise.com",
    "na.myconnectwise.net": "https://api-na.myconnectwise.net",
    "https://na.myconnectwise.net/": "https://api-na.myconnectwise.net",
    "  HTTPS://NA.MyConnectWise.Net  ": "https://api-na.myconnectwise.net",
    "https://eu.myconnectwise.net/v2026_4/ConnectWise.aspx?locale=en_GB&session=new#XQAACAAA@x": (
        "https://api-eu.myconnectwise.net"
    ),
    "au.myconnectwise.net": "https://api-au.myconnectwise.net",
    "aus.myconnectwise.net/login": "https://api-aus.myconnectwise.net",
    "www.za.myconnectwise.net": "https://api-za.myconnectwise.net",
    "api-na.myconnectwise.net": "https://api-na.myconnectwise.net",
    "https://api-eu.myconnectwise.net/v4_6_release/apis/3.0/": "https://api-eu.myconnectwise.net",
    "staging.connectwisedev.com": "https://api-staging.connectwisedev.com",
    "cw.bakery-ott.example": "https://cw.bakery-ott.example",
    "cw.example.com:8443": "https://cw.example.com:8443",
    "cw.example.com:443": "https://cw.example.com",
    "https://cw.example.com:8443/psa/": "https://cw.example.com:8443/psa",
    "https://cw.example.com/v4_6_release/ConnectWise.aspx?locale=en_US": "https://cw.example.com",
    "cw.example.com/psa/v4_6_release/services/system_io/x.rails": "https://cw.example.com/psa",
    "bäckerei.example": "https://xn--bckerei-5wa.example",
    "<https://na.myconnectwise.net/>": "https://api-na.myconnectwise.net",
    "'na.myconnectwise.net'": "https://api-na.myconnectwise.net",
    "8.8.8.8": "https://8.8.8.8",
    "[2606:4700:0:0::1111]": "https://[2606:4700::1111]",
}

BAD = [
    "",
    "   ",
    "http://na.myconnectwise.net",
    "HTTP://cw.example.com",
    "ftp://cw.example.com",
    "file:///etc/passwd",
    "gopher://cw.example.com",
    "javascript:alert(1)",
    "https:cw.example.com",
    "https:/cw.example.com",
    "//cw.example.com",
    "/etc/passwd",
    "https://",
    "https:///path",
    "https://user@cw.example.com",
    "https://user:pass@cw.example.com",
    "https://na.myconnectwise.net@evil.example",
    "na.myconnectwise.net@evil.example",
    "https://evil.example\\@na.myconnectwise.net",
    "https://na.myconnectwise.net\\.evil.example",
    "https://cw.example.com\r\nHost: evil.example",
    "cw.exa mple.com",
    "cw.exam\tple.com",
    "cw.example.com\x00.evil.example",
    "cw\u200b.example.com",
    "cw\u00ad.example.com",
    "cw.example\u3002com",
    "cw.example\uff0ecom",
    "\uff43w.example.com",
    "cw.example.com:99999",
    "cw.example.com:0",
    "cw.example.com:8443",
    "cw.example.com:22",
    "cw.example.com:port",
    "localhost",
    "intranet",
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.01",
    "127.0.0.0x1",
    "１２７.0.0.1",
    "①②⑦.0.0.1",
    "127.0.0.1.",
    "cw.example.com.",
    "10.0.0.5",
    "169.254.169.254",
    "https://169.254.169.254/latest/meta-data/",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[fe80::1%25eth0]",
    "[fe80::1%eth0]",
    "[v1.x]",
    "[8.8.8.8]",
    "::1",
    "cw..example.com",
    ".example.com",
    "-cw.example.com",
    "cw-.example.com",
    "cw_1.example.com",
    "cw%2eexample.com",
    "127.0.0.1%2f@na.myconnectwise.net",
    "cw.example.com/../../x",
    "cw.example.com/a%2f..",
    "cw.example.com/a;b",
    "xn--a.example",
    f"{'a' * 64}.example.com",
    f"{'a.' * 130}example.com",
    "a" * 4096,
    "https://" + "a" * 4096 + ".example.com",
]


AUTOTASK = "https://webservices.autotask.net"
GOOD_AUTOTASK = (
    "",
    "autotask.net",
    "www.autotask.net",
    "ww5.autotask.net",
    "https://ww5.autotask.net/Mvc/Framework/Navigation.mvc/Landing?x=1#y",
    "HTTPS://WW5.AutoTask.Net/",
    "webservices5.autotask.net",
    "https://webservices5.autotask.net/ATServicesRest/V1.0/",
    "webservices5.autotask.net/atservicesrest",
    "https://webservices.autotask.net/atservicesrest/v1.0/zoneInformation?user=x",
    "<https://ww3.autotask.net>",
    "“ww14.autotask.net”",
)
ALLOWED_HTTP = AddressPolicy(allow_http=True, allowed_ports=(ANY_PORT,))
SPELLINGS = """
2130706433 0x7f000001 0x7F.0.0.1 0177.0.0.1 017700000001 127.1 127.0.1 127.0.0.1. 127.0.0.01 2852039166 0xa9fea9fe
0251.0376.0251.0376 169.254.43518 169.254.169.254. [::ffff:a9fe:a9fe] [::ffff:169.254.169.254] [0:0:0:0:0:ffff:7f00:1]
[64:ff9b::a9fe:a9fe] [64:ff9b:1::a9fe:a9fe] [2002:a9fe:a9fe::] [2001:0:a9fe:a9fe::] [::a9fe:a9fe] [::1] [::] [fe80::1]
[fd00:ec2::254] [fec0::1] [ff02::1] 10.0.0.1 192.168.1.1 172.16.0.1 100.64.0.1 100.100.100.200 0.0.0.0 0 168.63.129.16
198.18.0.1 192.0.2.1 224.0.0.1 255.255.255.255 localhost localhost.
"""
SPECIAL = re.findall(r"\S+", SPELLINGS)


@pytest.mark.parametrize("text", GOOD_AUTOTASK)
def test_any_form_of_autotask_means_autotask(text: str) -> None:
    assert normalise_autotask_site(text, policy=STRICT) == AUTOTASK


@pytest.mark.parametrize("policy", [STRICT, ALLOWED_HTTP], ids=["strict", "http allowed"])
@pytest.mark.parametrize("normalise", [normalise_site, normalise_autotask_site])
@pytest.mark.parametrize("text", SPECIAL)
def test_special_addresses_are_refused_in_every_spelling(
    text: str, normalise: Callable[..., str], policy: AddressPolicy
) -> None:
    for site in (text, f"https://{text}", f"https://{text}:443/v4_6_release/apis/3.0", f"http://{text}/"):
        with pytest.raises(Misconfigured) as caught:
            normalise(site, policy=policy)
        assert caught.value.field == "site_url"
        assert str(caught.value).endswith(".")


def test_a_network_that_the_operator_allowed_is_taken_in_its_usual_spelling_only() -> None:
    policy = AddressPolicy(allowed_networks=("10.20.0.0/16",))
    assert normalise_site("10.20.3.4", policy=policy) == "https://10.20.3.4"
    for text in ("10.21.3.4", "169436932", "0x0a140304", "012.024.3.4", "[::ffff:10.20.3.4]"):
        with pytest.raises(Misconfigured):
            normalise_site(text, policy=policy)


@pytest.mark.parametrize(("text", "site"), GOOD.items(), ids=GOOD.keys())
@pytest.mark.parity("S0-10", "S2-22", "S3-19", "S4-29")
def test_a_site_in_any_usual_shape_becomes_the_origin_to_call(text: str, site: str) -> None:
    assert normalise_site(text, policy=WITH_PORT) == site
    assert normalise_site(site, policy=WITH_PORT) == site


def test_enough_bad_sites_are_tried() -> None:
    assert len(BAD) >= 60


@pytest.mark.parametrize("text", BAD, ids=[ascii(text)[:40] for text in BAD])
def test_a_site_in_an_odd_shape_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        normalise_site(text, policy=STRICT)
    assert caught.value.field == "site_url"
    assert str(caught.value).endswith(".")


@pytest.mark.parity("S2-22")
def test_http_is_refused_with_its_reason() -> None:
    with pytest.raises(Misconfigured, match="unprotected"):
        normalise_site("http://cw.example.com", policy=STRICT)


def test_an_operator_may_allow_http_and_a_private_network() -> None:
    assert normalise_site("http://127.0.0.1:8765/", policy=LOCAL) == "http://127.0.0.1:8765"
    assert normalise_site("localhost:8765", policy=LOCAL) == "https://localhost:8765"


def test_people_open_the_host_they_know() -> None:
    assert ui_origin("https://api-na.myconnectwise.net") == "https://na.myconnectwise.net"
    assert ui_origin("https://cw.example.com:8443/psa") == "https://cw.example.com:8443/psa"


@pytest.mark.parametrize("text", ["Key123", "  Key123\n", "\tKey123", "K:e+y/1=2", "Schlüssel"])
@pytest.mark.parity("S0-11")
def test_a_key_is_trimmed_and_otherwise_left_alone(text: str) -> None:
    assert clean_key(text) == text.strip()


@pytest.mark.parametrize(
    "around",
    [
        "\ufeff",
        "\u200b",
        "\u200d",
        "\u2060",
        "\u00a0",
        "\u3000",
        "\u00ad",
        "\u3164",
        "\r\n",
        "\x00",
        " \u200b ",
    ],
    ids=ascii,
)
@pytest.mark.parity("S4-65")
def test_what_copying_leaves_around_a_key_or_a_site_is_taken_away(around: str) -> None:
    for before, behind in ((around, ""), ("", around), (around, around)):
        assert clean_key(f"{before}Key123{behind}") == "Key123"
        pasted = f"{before}https://na.myconnectwise.net/{behind}"
        assert normalise_site(pasted, policy=STRICT) == "https://api-na.myconnectwise.net"
        assert normalise_autotask_site(f"{before}ww5.autotask.net{behind}", policy=STRICT) == AUTOTASK
        assert normalise_autotask_site(f"{before}{behind}", policy=STRICT) == AUTOTASK


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "Key 123",
        "Key\n123",
        "Key\u00a0123",
        "Key\u200b123",
        "Key\ufeff123",
        "Key\u2060123",
        "Key\x00123",
        "Key\u3164123",
    ],
    ids=ascii,
)
@pytest.mark.parity("S4-65")
def test_a_key_that_was_damaged_by_copying_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        clean_key(text, field="public_key")
    assert caught.value.field == "public_key"
    assert "Key" not in str(caught.value).replace("The key", "")


def test_an_encrypted_text_is_no_key() -> None:
    with pytest.raises(Misconfigured, match="encrypted"):
        clean_key("gAAAAABm1y2ZqJ0vV2Zsb3Jlc3QgaXMgbm90IGEga2V5")
