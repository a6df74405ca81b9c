"""Company Mapping as a partner's manager uses it."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from integrations import companies, mapping, suggestions
from integrations.models import CatchAllCompany, Choice, CompanyLink, CompanySuggestion, Delivery
from portal import clients, clock
from portal.models import Client, Role
from tests import make
from tests.portal.test_pages import happened, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def jam(world: make.World) -> Client:
    return clients.add_client(world.partner, name="Jam Factory", number=700)


@pytest.fixture
def browser(world: make.World) -> Any:
    return signed_in(make.user(world.partner, email="anna@northwind.example"))


def page(world: make.World, name: str = "mapping") -> str:
    return reverse(name, args=[world.credentials.pk])


def company(world: make.World, psa_id: str, name: str, **data: Any) -> Choice:
    return Choice.objects.create(
        partner=world.partner,
        credentials=world.credentials,
        kind="company",
        psa_id=psa_id,
        name=name,
        data=data,
    )


def many(world: make.World, count: int) -> None:
    """So many clients and companies; a tenth is mapped, a tenth skipped, a tenth in trouble, the others suggested."""
    names = [f"Customer {number:05} of the North" for number in range(count)]
    rows = [
        Client(partner=world.partner, organization=world.organization, name=name, number=100_000 + at)
        for at, name in enumerate(names)
    ]
    Client.objects.bulk_create(rows)
    base = {"partner": world.partner, "credentials": world.credentials}
    Choice.objects.bulk_create(
        Choice(**base, kind="company", psa_id=f"9{at:05}", name=f"{name} Inc.")
        for at, name in enumerate(names)
    )
    CompanyLink.objects.bulk_create(
        CompanyLink(
            **base,
            client=row,
            psa_company_id="" if at % 10 == 1 else f"9{at:05}",
            psa_company_name="" if at % 10 == 1 else f"{row.name} Inc." if at % 10 == 0 else "Old name",
        )
        for at, row in enumerate(rows)
        if at % 10 < 3
    )


def asked(browser: Any, address: str) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        assert browser.get(address).status_code == 200
    return [row["sql"] for row in queries]


def test_five_thousand_clients_and_companies_take_as_many_queries_as_five(world, browser):
    addresses = [
        page(world),
        *(f"{page(world)}?show={show}&q=customer" for show in mapping.SHOWN),
        page(world, "mapping_inbox"),
        page(world, "mapping_companies"),
        reverse("company_mapping"),
    ]
    many(world, 10)
    suggestions.refresh(world.credentials)
    few = [len(asked(browser, address)) for address in addresses]
    Client.objects.exclude(pk=world.client.pk).delete()
    Choice.objects.filter(psa_id__startswith="9").delete()
    many(world, 5000)
    assert suggestions.refresh(world.credentials) == 3500
    assert [len(asked(browser, address)) for address in addresses] == few
    assert max(few) <= 25


def test_every_filter_finds_its_clients_and_the_counts_agree(world, browser):
    many(world, 20)
    suggestions.refresh(world.credentials)
    figures = mapping.figures(world.credentials)
    assert figures == {
        "": 0, "all": 21, "unmapped": 14, "suggested": 14, "mapped": 5, "skipped": 2, "trouble": 2,
    }  # fmt: skip
    for show in ("unmapped", "suggested", "mapped", "skipped", "trouble"):
        text = browser.get(f"{page(world)}?show={show}").content.decode()
        assert len(re.findall(r'name="client"', text)) == figures[show], show


def test_the_table_is_paged_by_name_without_gaps_or_repeats(world, browser):
    many(world, 120)
    seen: list[str] = []
    address = page(world)
    for _ in range(5):
        text = browser.get(address).content.decode()
        seen += re.findall(r'name="client" value="([0-9a-f-]{36})"', text)
        following = re.search(r'href="(\?[^"]*before=[^"]+)"[^>]*rel="next"', text)
        if following is None:
            break
        address = page(world) + html.unescape(following[1])
    assert (len(seen), len(set(seen))) == (121, 121)


@pytest.mark.parametrize("text", ["jam", "700", "EFS-700"])
def test_a_client_is_searched_by_name_number_and_managed_id(world, browser, jam, text):
    shown = browser.get(page(world), {"q": text}).content.decode()
    assert "Jam Factory" in shown
    assert "company-" + str(world.client.pk) not in shown


def typed(client: Client, text: str, was: str = "?") -> dict[str, str]:
    return {f"company-{client.pk}": text, f"was-{client.pk}": was}


@pytest.mark.parity("S1-26", "S3-22")
def test_what_is_typed_into_the_table_is_saved_with_name_and_time(world, browser, jam):
    browser.post(page(world), {**typed(jam, "251"), **typed(world.client, "Bakery Ott (250)", "250")})
    link = CompanyLink.objects.get(client=jam)
    assert (link.psa_company_id, link.linked_by, link.origin) == ("251", "anna@northwind.example", "portal")
    assert CompanyLink.objects.get(client=world.client).linked_by == ""  # untouched


@pytest.mark.parity("S3-22")
def test_saving_the_table_neither_skips_nor_maps_who_was_left_empty(world, browser, jam):
    browser.post(page(world), typed(jam, ""))
    assert not CompanyLink.objects.filter(client=jam).exists()


def test_saving_leaves_alone_whose_company_is_gone(world, browser):
    world.credentials.choices.filter(psa_id="250").update(vanished_at=clock.now())
    answer = browser.post(page(world), typed(world.client, "Bakery Ott (250)", "250"), follow=True)
    assert "could not be mapped" not in answer.content.decode()
    assert CompanyLink.objects.get().psa_company_id == "250"


@pytest.mark.parity("S3-22")
def test_emptying_a_mapped_line_skips_the_client(world, browser):
    browser.post(page(world), typed(world.client, "", "250"))
    assert CompanyLink.objects.get(client=world.client).psa_company_id == ""


def test_a_company_that_is_not_there_is_told_beside_its_line_and_the_others_are_saved(world, browser, jam):
    text = browser.post(
        page(world), {**typed(jam, "Zebra & Sons"), **typed(world.client, "251", "250")}
    ).content.decode()
    assert "has no company “Zebra &amp; Sons”" in text
    assert 'value="Zebra &amp; Sons"' in text
    assert CompanyLink.objects.get(client=world.client).psa_company_id == "251"


def test_what_somebody_else_decided_meanwhile_is_not_overwritten(world, browser, jam):
    companies.link_company(jam, world.credentials, psa_company_id="252", name="x", by="bert")
    text = browser.post(page(world), typed(jam, "251"), follow=True).content.decode()
    assert "somebody else decided meanwhile" in text
    assert CompanyLink.objects.get(client=jam).psa_company_id == "252"


def test_two_clients_of_one_company_are_allowed_and_warned_of(world, browser, jam):
    text = browser.post(page(world), typed(jam, "250"), follow=True).content.decode()
    assert "is the company of 2 clients now" in text
    assert "with 1 more" in text


@pytest.mark.parity("S0-31", "S0-32", "S1-20", "S2-13")
def test_the_box_offers_companies_by_name_identifier_and_id(world, browser, jam):
    company(world, "900", "Jam Factory Inc.", identifier="JAMFAC")
    for text in ("jam f", "jamfac", "900"):
        found = browser.get(page(world, "mapping_options"), {f"company-{jam.pk}": text}).content.decode()
        assert 'value="Jam Factory Inc. (900)"' in found


# --- Many at once ----------------------------------------------------------------------------------------------------


def confirm(browser: Any, world: make.World, answer: Any) -> Any:
    """Press the button of a confirmation page."""
    text = answer.content.decode()
    fields = {name: html.unescape(value) for name, value in HIDDEN.findall(text)}
    return browser.post(page(world, "mapping_apply"), fields, follow=True)


HIDDEN = re.compile(r'type="hidden" name="(what|moves)" value="([^"]*)"')


@pytest.fixture
def suggested(world: make.World, jam: Client) -> Client:
    company(world, "900", "Jam Factory Inc.")
    company(world, "901", "Toy Works")
    company(world, "902", "Toy Works LLC")
    clients.add_client(world.partner, name="Toy Works Ltd")
    suggestions.refresh(world.credentials)
    return jam


@pytest.mark.parity("S3-22")
def test_accepting_all_lists_the_clear_ones_first_and_maps_them_when_confirmed(world, browser, suggested):
    answer = browser.post(page(world, "mapping_selected"), {"what": "accept_all", "least": "90"})
    text = answer.content.decode()
    assert "Jam Factory Inc. (900)" in text
    assert "Toy Works" not in text, "two companies fit it"
    assert not CompanyLink.objects.filter(client=suggested).exists()
    assert "1 mapped" in confirm(browser, world, answer).content.decode()
    assert CompanyLink.objects.get(client=suggested).origin == "suggestion"


def test_a_score_that_none_has_leads_back_with_a_sentence(world, browser, suggested):
    text = browser.post(
        page(world, "mapping_selected"), {"what": "accept_all", "least": "100"}, follow=True
    ).content.decode()
    assert "No clear suggestion has that score" in text


@pytest.mark.parametrize(("what", "after"), [("skip", [""]), ("unmap", [])])
def test_ticked_clients_are_skipped_or_unmapped_when_confirmed(world, browser, what, after):
    ticked = {"what": what, "client": [str(world.client.pk)]}
    answer = browser.post(page(world, "mapping_selected"), ticked)
    assert CompanyLink.objects.get().psa_company_id == "250"
    confirm(browser, world, answer)
    assert list(CompanyLink.objects.values_list("psa_company_id", flat=True)) == after


def test_new_names_are_accepted_together(world, browser):
    world.credentials.choices.filter(kind="company", psa_id="250").update(name="Ott Group")
    ticked = {"what": "names", "client": [str(world.client.pk)]}
    confirm(browser, world, browser.post(page(world, "mapping_selected"), ticked))
    assert mapping.row_of(world.credentials, world.client).state == "ok"
    assert CompanyLink.objects.get().psa_company_name == "Ott Group"


@pytest.mark.parametrize(
    "moves",
    [
        "",
        "nonsense",
        "[1]",
        '[["x", "1", null]]',
        '[["", {}, null]]',
        "{}",
        '[["{client}", "\\u0000", "250"]]',
    ],
)
def test_a_list_that_was_tampered_with_changes_nothing(world, browser, moves):
    moves = moves.replace("{client}", str(world.client.pk))
    browser.post(page(world, "mapping_apply"), {"what": "skip", "moves": moves})
    assert CompanyLink.objects.get().psa_company_id == "250"


def test_another_partners_client_in_a_list_is_left_alone(world, browser):
    rival = make.partner("Tailspin")
    other = clients.add_client(rival, name="Someone else", number=30001)
    moves = f'[["{other.pk}", "250", null]]'
    browser.post(page(world, "mapping_apply"), {"what": "skip", "moves": moves})
    browser.post(page(world, "mapping_apply"), {"what": "accept", "moves": moves})
    assert not CompanyLink.objects.filter(client=other).exists()


def test_a_viewer_sees_the_table_and_no_button(world, jam):
    text = signed_in(make.user(world.partner, role=Role.VIEWER)).get(page(world)).content.decode()
    assert "Jam Factory" in text
    assert "Save Company Mapping" not in text
    assert 'type="checkbox"' not in text


# --- Inbox, catch-all, new clients, files ----------------------------------------------------------------------------


def held(world: make.World, client: Client, action: str = "ticket", hours: float = 0) -> Delivery:
    return Delivery.objects.create(
        partner=world.partner,
        event=happened(world, client=client),
        client=client,
        lane=world.credentials.lane,
        action=action,
        subject=f"{action}:{clock.new_id()}",
        status="held",
        reason="no_company",
        created_at=clock.now() - clock.spread(3600 * hours, by=0),
    )


def test_the_inbox_shows_who_waits_for_how_much_and_since_when(world, browser, jam):
    later = clients.add_client(world.partner, name="Later Ltd")
    held(world, later, hours=1)
    held(world, jam, hours=5)
    held(world, jam, action="synchronize")
    held(world, world.client)  # is mapped: not a matter of this page
    text = browser.get(page(world, "mapping_inbox")).content.decode()
    assert re.findall(r'clients/[^"]+mapping">([^<]+)</a>', text) == [
        "Jam Factory",
        "Later Ltd",
    ]
    assert re.search(r'Jam Factory.*?class="num">1<.*?class="num">1<', text, re.DOTALL)


@pytest.mark.parity("S1-3")
def test_a_client_is_made_from_a_company_after_a_preview(world, browser):
    company(world, "900", "Jam Factory Inc.")
    address = page(world, "mapping_new_client") + "?company=900"
    assert "nothing is written" in browser.get(address).content.decode()
    assert not Client.objects.filter(name="Jam Factory").exists()
    fields = {"name": "Jam Factory", "organization": str(world.organization.pk)}
    for _ in range(2):
        browser.post(address, fields)
    made = Client.objects.get(name="Jam Factory")
    assert CompanyLink.objects.get(client=made).psa_company_id == "900"


def test_the_catch_all_company_is_chosen_and_given_up(world, browser):
    browser.post(page(world, "mapping_catch_all"), {"company": "250"})
    assert CatchAllCompany.objects.get().chosen_by == "anna@northwind.example"
    browser.post(page(world, "mapping_catch_all"), {"company": "-"})
    assert not CatchAllCompany.objects.exists()


def test_a_file_is_shown_before_it_is_taken_over(world, browser, jam):
    sheet = SimpleUploadedFile("m.csv", b"client_id,psa_company_id\n700,251\n19652,777\n")
    answer = browser.post(page(world, "mapping_file"), {"sheet": sheet})
    text = answer.content.decode()
    assert "1 mapped, 0 skipped" in text
    assert "no company with the id “777”" in text
    assert not CompanyLink.objects.filter(client=jam).exists()
    confirm(browser, world, answer)
    link = CompanyLink.objects.get(client=jam)
    assert (link.psa_company_id, link.origin) == ("251", "import")


def test_a_file_that_is_no_csv_is_refused_beside_its_field(world, browser):
    sheet = SimpleUploadedFile("m.csv", b"\x00\x01")
    assert "is no text" in browser.post(page(world, "mapping_file"), {"sheet": sheet}).content.decode()


def test_the_export_is_a_file(world, browser):
    answer = browser.get(page(world, "mapping_export"))
    assert answer["Content-Disposition"] == 'attachment; filename="company-mapping.csv"'
    assert "EFS-19652,Bakery Ott,ok,250,Bakery Ott" in answer.content.decode("utf-8-sig")


# --- One client ------------------------------------------------------------------------------------------------------


def test_a_clients_page_shows_the_rename_and_accepts_it(world, browser):
    world.credentials.choices.filter(kind="company", psa_id="250").update(name="Ott Group")
    address = reverse("client_mapping", args=[world.client.pk])
    assert "is called “Ott Group” in the PSA now" in browser.get(address).content.decode()
    browser.post(reverse("client_accept_name", args=[world.client.pk]))
    assert CompanyLink.objects.get().psa_company_name == "Ott Group"


def test_a_clients_page_unmaps(world, browser):
    browser.post(reverse("client_unmap", args=[world.client.pk]))
    assert not CompanyLink.objects.exists()


def test_a_clients_page_suggests_and_leaves_the_choice(world, browser, suggested):
    text = browser.get(reverse("client_mapping", args=[suggested.pk])).content.decode()
    assert "Probably Jam Factory Inc. (900): same name but for “Inc.”" in text
    assert CompanySuggestion.objects.filter(client=suggested).exists()
    assert '<option value="" selected>' in text
