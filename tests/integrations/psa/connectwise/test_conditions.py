"""Whatever text comes in, a condition stays one comparison of one field, however the PSA reads its quotes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from integrations.psa.connectwise import conditions

# How sources say that a quote is written inside a string: not at all, after a backslash, or doubled.
READINGS = {
    "none": r""""[^"]*"|'[^']*'""",
    "backslash": r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""",
    "doubled": r""""(?:[^"]|"")*"|'(?:[^']|'')*'""",
}
NASTY = [
    'x" or id>0 or name="',
    "x' or id>0 or name='",
    '"',
    "'",
    "\"'",
    "\\",
    '\\" or 1=1',
    "a\\",
    "%",
    "[",
    "]",
    "*",
    "\x00",
    "\n",
    "\u202e",
    "\ud800",
    "a" * 400,
    'O\'Neil "& Sons"',
]
TEXTS = st.one_of(st.text(), st.text(alphabet="\"'\\%*[]=<>() or1x\n\u202e"), st.sampled_from(NASTY))


def one_comparison(condition: str, reading: str) -> bool:
    return re.fullmatch(rf"name(=| like )({READINGS[reading]})", condition, re.DOTALL) is not None


@pytest.mark.parametrize("reading", READINGS)
@given(text=TEXTS)
@example(text='x" or id>0 or name="')
@example(text="\\")
def test_equals_is_one_comparison(reading: str, text: str) -> None:
    assert one_comparison(conditions.equals("name", text), reading)


@pytest.mark.parametrize("reading", READINGS)
@given(text=TEXTS)
def test_contains_and_starts_with_are_one_comparison(reading: str, text: str) -> None:
    assert one_comparison(conditions.contains("name", text), reading)
    assert one_comparison(conditions.starts_with("name", text), reading)


@given(text=TEXTS)
def test_nothing_unprintable_and_nothing_endless_is_sent(text: str) -> None:
    for made in (conditions.equals("name", text), conditions.contains("name", text)):
        assert len(made) < 200
        assert not re.search(r"[\x00-\x1f\x7f\u202e\ud800-\udfff]", made)


def as_pattern(pattern: str) -> re.Pattern[str]:
    return re.compile("".join(".*" if letter == "%" else re.escape(letter) for letter in pattern), re.DOTALL)


@given(text=st.text(alphabet=st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=100))
def test_a_loosened_string_still_matches_the_text(text: str) -> None:
    made = conditions.equals("name", text)
    found = re.fullmatch(r"name like \"(.*)\"", made, re.DOTALL)
    if found:
        assert as_pattern(found[1]).fullmatch(text)
    else:
        assert made[6:-1] == text


@pytest.mark.parametrize(
    ("value", "made"),
    [
        (5, "board/id=5"),
        (True, "board/id=True"),
        (False, "board/id=False"),
        (None, "board/id=null"),
        ("Bakery Ott", 'board/id="Bakery Ott"'),
        ('say "yes"', "board/id='say \"yes\"'"),
        ("O'Neil", 'board/id="O\'Neil"'),
        (datetime(2026, 2, 1, 10, tzinfo=UTC), "board/id=[2026-02-01T10:00:00Z]"),
        (datetime(2026, 2, 1, 12, tzinfo=timezone(timedelta(hours=2))), "board/id=[2026-02-01T10:00:00Z]"),
    ],
    ids=repr,
)
def test_values_are_written_by_their_type(value: conditions.Value, made: str) -> None:
    assert conditions.equals("board/id", value) == made


@pytest.mark.parametrize("field", ["", "name or 1", "name=1", "a/b/c", "name\n", "na me", "1"])
def test_a_field_is_a_name(field: str) -> None:
    with pytest.raises(ValueError, match="not a field"):
        conditions.equals(field, 1)


def test_conditions_are_joined() -> None:
    both = conditions.both(
        conditions.one_of("status/id", [11, 12]), "", conditions.is_not("closedFlag", True)
    )
    assert both == "status/id in (11,12) and closedFlag!=True"
    assert conditions.either("a=1", "b=2") == "(a=1 or b=2)"


def test_a_number_must_be_one() -> None:
    with pytest.raises(ValueError):
        conditions.one_of("id", ["1) or (1=1"])  # type: ignore[list-item]
