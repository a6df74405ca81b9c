"""Is the parity table true: each rule has a proof or says why not, no mark names nothing, and the page is the table?"""

from __future__ import annotations

import pytest

from tests.parity.table import PAGE, Proof, Row, anchored, faults_of, marked, page, rules, table


def test_every_rule_has_its_test_or_guide_row_or_says_why_it_is_open():
    assert table().faults == []


def test_the_page_is_what_the_table_prints():
    assert PAGE.read_text(encoding="utf-8") == page(table()), "make parity ARGS=--write"


def test_a_mark_is_found_with_all_its_ids():
    source = """
@pytest.mark.parity("S0-1", "S0-2")
def test_a(): ...

class TestB:
    @pytest.mark.parity("S0-3")
    def test_c(self): ...
"""
    found = [(key, test.name) for key, test in marked(source, "t.py")]
    assert found == [("S0-1", "test_a"), ("S0-2", "test_a"), ("S0-3", "test_c")]


@pytest.mark.parametrize(
    "source",
    [
        'pytestmark = pytest.mark.parity("S0-1")',
        '@pytest.mark.parity("S0-1")\ndef helper(): ...',
        '@pytest.mark.skip\n@pytest.mark.parity("S0-1")\ndef test_a(): ...',
        '@pytest.mark.xfail(strict=True)\n@pytest.mark.parity("S0-1")\ndef test_a(): ...',
        "@pytest.mark.parity()\ndef test_a(): ...",
        "@pytest.mark.parity\ndef test_a(): ...",
        "@pytest.mark.parity(*IDS)\ndef test_a(): ...",
    ],
)
def test_a_mark_that_proves_nothing_is_refused(source):
    with pytest.raises(ValueError, match="parity mark"):
        list(marked(source, "t.py"))


def row(**fields: str) -> Row:
    return Row(**{"key": "S0-1", "rule": "R", "place": "P", **fields})


PROOF = (Proof("tests/t.py", "test_a"),)


@pytest.mark.parametrize(
    ("found", "tests", "told"),
    [
        (row(), {}, "neither a test nor a guide row"),
        (row(remark="missing: half"), {}, "neither a test nor a guide row"),
        (Row("S0-1", "R", "P", "open: why", PROOF), {}, "said to be open"),
        (row(remark="later"), {}, "begins with"),
        (row(), {"S9-9": list(PROOF)}, "There is no rule S9-9"),
    ],
)
def test_what_makes_the_table_untrue_is_told(found, tests, told):
    assert any(told in fault for fault in faults_of([found], tests, {}))


def test_anchors_are_rows_of_guides():
    assert anchored('<a id="s0-3"></a> text <a id="s4-24"></a>') == ["S0-3", "S4-24"]
    assert rules("# head\nS0-1 | R | P |\n")[0] == row()
