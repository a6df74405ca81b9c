"""The mapping as a file: out and in again without loss, and no formula for a spreadsheet to run."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations import companies, mapping, mappingsheet, suggestions
from integrations.mappingsheet import Unreadable, preview
from integrations.models import CompanyLink
from integrations.models.connections import Origin
from portal import clients
from portal.models import Client
from portal.sheets import neutral, plain
from tests import make


@pytest.fixture
def jam(world: make.World) -> Client:
    return clients.add_client(world.partner, name="Jam Factory", number=700)


def read(world: make.World, text: str, encoding: str = "utf-8") -> mappingsheet.Preview:
    return preview(world.credentials, text.encode(encoding))


def take(world: make.World, found: mappingsheet.Preview) -> mapping.Done:
    moves = [change.move for change in found.changes]
    return mapping.carry_out(world.credentials, moves, by="anna", origin=Origin.IMPORT)


@given(st.text())
def test_a_cell_survives_the_way_out_and_in(text):
    assert plain(neutral(text)) == text


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1"])
def test_no_cell_begins_like_a_formula(cell):
    assert neutral(cell)[0] == "'"


def test_an_exported_file_changes_nothing_when_it_comes_back(world, jam):
    clients.add_client(world.partner, name="=cmd|' /C calc'!A0", number=701)
    skipped = clients.add_client(world.partner, name="Nobody", number=702)
    companies.link_company(skipped, world.credentials, psa_company_id="", name="")
    text = "".join(mappingsheet.export(world.credentials))
    assert ",'=cmd|" in text
    found = preview(world.credentials, text.encode())
    assert (found.changes, found.problems) == ([], [])
    assert (found.unchanged, found.left_unmapped) == (2, 2)


def test_the_export_shows_suggestions_beside_the_mapping(world, jam):
    world.credentials.choices.create(
        partner=world.partner, kind="company", psa_id="900", name="Jam Factory Ltd"
    )
    suggestions.refresh(world.credentials)
    rows = csv.DictReader(io.StringIO("".join(mappingsheet.export(world.credentials)).lstrip("\ufeff")))
    jams = next(row for row in rows if row["client"] == "Jam Factory")
    assert (jams["mapping"], jams["psa_company_id"], jams["suggested_company_id"], jams["score"]) == (
        "unmapped",
        "",
        "900",
        "96",
    )


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("client_id,psa_company_id\n700,251\n", "utf-8"),
        ("client_id;psa_company_id\r\n700;251\r\n", "utf-8-sig"),
        ("Client ID;Kunde;Company ID\nEFS-700;Bäckerei;251\n", "cp1252"),
        ("client_id\tpsa_company_id\n700\t251\n", "utf-16"),
        ('"client_id","psa_company_id"\n"700","251"', "utf-8"),
        ("client_id,psa_company_id\n\n'700,'251\n\n".replace("'", ""), "utf-8"),
    ],
    ids=["plain", "semicolons and mark", "windows", "excel's unicode text", "quoted", "blank lines"],
)
def test_files_are_read_as_people_save_them(world, jam, text, encoding):
    found = read(world, text, encoding)
    assert [(one.wish.client, one.wish.company_id) for one in found.changes] == [(jam, "251")]


def test_a_blank_company_is_an_explicit_skip(world, jam):
    take(world, read(world, "client_id,psa_company_id\n700,\n"))
    link = CompanyLink.objects.get(client=jam)
    assert (link.psa_company_id, link.origin, link.linked_by) == ("", "import", "anna")


def test_good_lines_are_taken_and_each_mistake_is_told_with_its_place(world, jam):
    other = clients.add_client(make.partner("Tailspin"), name="Someone else", number=30001)
    found = read(
        world,
        f"client_id,psa_company_id\n700,251\n,250\n{other.number},250\n19652,777\n700,252\n19652\n",
    )
    assert [(one.line, one.column) for one in found.problems] == [
        (3, "client_id"),
        (4, "client_id"),
        (5, "psa_company_id"),
        (6, "client_id"),
        (7, "psa_company_id"),
    ]
    assert "no company with the id “777”" in found.problems[2].text
    assert "line 2 already" in found.problems[3].text
    assert take(world, found).mapped == 1
    assert CompanyLink.objects.get(client=world.client).psa_company_id == "250"


def test_a_quote_that_is_never_closed_does_not_lose_the_lines_before(world, jam):
    found = read(world, 'client_id,psa_company_id\n700,251\n19652,"252\n')
    assert ([one.line for one in found.problems], found.mapped) == ([3], 1)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "empty"),
        (b"client,company\n1,2\n", "lacks client_id and psa_company_id"),
        (b"client_id,managed_id,psa_company_id\n", "more than once"),
        (b"\x00\x01\x02client_id,psa_company_id", "no text"),
        (b"x" * (mappingsheet.MOST_BYTES + 1), "4 MB"),
    ],
    ids=["empty", "other columns", "twice", "binary", "too large"],
)
def test_a_file_that_cannot_be_used_is_refused_with_a_reason(world, content, sentence):
    with pytest.raises(Unreadable, match=sentence):
        preview(world.credentials, content)
