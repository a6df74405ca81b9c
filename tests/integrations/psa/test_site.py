"""What partners type and paste as site and key."""

from __future__ import annotations

import pytest

from integrations.psa.addresses import AddressPolicy
from integrations.psa.errors import Misconfigured
from integrations.psa.site import clean_key, normalise_site, ui_origin
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


@pytest.mark.parametrize(("text", "site"), GOOD.items(), ids=GOOD.keys())
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
def test_a_key_is_trimmed_and_otherwise_left_alone(text: str) -> None:
    assert clean_key(text) == text.strip()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "Key 123",
        "Key\n123",
        "Key\u00a0123",
        "Key\u200b123",
        "\ufeffKey123",
        "Key\u2060",
        "Key\x00",
        "Key\u3164",
    ],
    ids=ascii,
)
def test_a_key_that_was_damaged_by_copying_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        clean_key(text, field="public_key")
    assert caught.value.field == "public_key"
    assert "Key" not in str(caught.value).replace("The key", "")


def test_an_encrypted_text_is_no_key() -> None:
    with pytest.raises(Misconfigured, match="encrypted"):
        clean_key("gAAAAABm1y2ZqJ0vV2Zsb3Jlc3QgaXMgbm90IGEga2V5")
