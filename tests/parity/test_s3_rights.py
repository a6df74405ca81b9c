"""S3: subscriptions on agreements, tickets, and a tab. What other tests hold already is marked there."""

from __future__ import annotations

from typing import get_args

import pytest
from django.urls import reverse

from integrations.psa import kinds
from integrations.psa.port import Feature
from integrations.psa.rights import asked
from tests import make
from tests.portal.test_pages import signed_in

EVERYTHING: tuple[Feature, ...] = get_args(Feature)


def role(*features: Feature) -> dict[str, set[str]]:
    """The smallest ConnectWise role for these: levels by area."""
    lines = kinds.KINDS["connectwise"].minimal_role(asked(features))
    return {line.name: {need.partition(":")[0] for need in line.needs} for line in lines}


def areas(found: dict[str, set[str]], part: str) -> dict[str, set[str]]:
    return {name: levels for name, levels in found.items() if part in name}


@pytest.mark.parity("S1-2", "S3-4", "S3-7")
def test_rights_on_agreements_are_for_billing_only() -> None:
    assert areas(role("tickets", "closing", "choices", "statistics"), "Finance") == {}
    assert areas(role("billing"), "Finance") == {
        "Finance > Agreements": {"Inquire"},
        "Finance > Agreements (Additions)": {"Add", "Edit", "Inquire"},
    }


@pytest.mark.parity("S3-8")
def test_the_product_catalogue_is_read_and_nothing_is_ever_deleted() -> None:
    found = role(*EVERYTHING)
    assert found["Procurement > Product Catalog"] == {"Inquire"}
    assert [name for name, levels in found.items() if "Delete" in levels] == []


@pytest.mark.parity("S3-9", "S3-10")
def test_neither_procurements_products_nor_project_tickets_are_asked_for() -> None:
    found = role(*EVERYTHING)
    assert areas(found, "Procurement").keys() == {"Procurement > Product Catalog"}
    assert areas(found, "Project") == {}


@pytest.mark.parity("S3-12")
def test_tickets_need_add_edit_and_inquire_and_closing_a_right_of_its_own() -> None:
    assert role("tickets")["Service Desk > Service Tickets"] == {"Add", "Edit", "Inquire"}
    assert "Service Desk > Close Service Tickets" not in role("tickets")
    assert role("closing")["Service Desk > Close Service Tickets"] == {"Edit", "Inquire"}


@pytest.mark.parity("S3-13")
def test_only_the_hosted_tab_and_cross_references_write_to_table_setup() -> None:
    found = areas(role(*EVERYTHING), "Table Setup")
    writes = {name for name, levels in found.items() if levels != {"Inquire"}}
    assert writes == {
        "System > Table Setup (General / Manage Hosted API)",
        "System > Table Setup (Company / Managed Devices Integration)",
    }
    without = [feature for feature in EVERYTHING if feature not in ("hosted_tab", "cross_references")]
    assert set().union(*areas(role(*without), "Table Setup").values()) == {"Inquire"}


@pytest.mark.parity("S3-19")
def test_the_regions_of_the_cloud_are_offered_and_any_other_site_can_be_typed(world: make.World) -> None:
    browser = signed_in(make.user(world.partner))
    address = reverse("credentials_of", args=["organization", world.organization.pk])
    page = browser.get(address).content.decode()
    for region in ("na", "eu", "au"):
        assert f'<option value="{region}.myconnectwise.net">' in page
    assert 'list="known-sites"' in page
