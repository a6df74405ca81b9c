"""Is a document read as it was meant, and refused where YAML would have guessed?"""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from portal import configtext, configtree
from portal.configshape import (
    Day,
    Flag,
    Fraction,
    Map,
    Moment,
    Number,
    Picked,
    Reading,
    Record,
    Several,
    Text,
    ordered,
)
from portal.configtree import Unreadable

SHAPE = Record(
    {
        "text": Text(most=5000),
        "flag": Flag(),
        "number": Number(),
        "fraction": Fraction(),
        "day": Day(),
        "moment": Moment(),
        "words": Several(of=Text()),
        "board": Picked(kind="board"),
        "below": Map(Text(most=5000)),
    }
)


def read(text: str) -> tuple[Any, list[str]]:
    reading = Reading()
    return SHAPE.read(configtree.read(text), (), reading), [str(fault) for fault in reading.faults]


@pytest.mark.parametrize(
    "word", ["no", "off", "y", "1e3", "0123", "2026-01-01", "0x1F", "1_000", "NaN", "=", "12:30"]
)
def test_text_is_text_however_it_looks(word: str) -> None:
    assert read(f"text: {word}") == ({"text": word}, [])


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("flag: no", "Write true or false, not “no”"),
        ("flag: 1", "Write true or false"),
        ('flag: "true"', "Write true or false"),
        ("number: 010", "plain digits"),
        ("number: 1e3", "plain digits"),
        ("number: 1_000", "plain digits"),
        ('number: "5"', "without quotes"),
        ("number: -1", "not between"),
        ("fraction: .5", "Write a number like"),
        ("fraction: 1.005", "Two digits"),
        ("day: 2026-02-30", "Write a day like"),
        ("day: 20260231", "Write a day like"),
        ("moment: 2026-05-31T18:00:00", "Say the offset"),
        ("moment: 0001-01-01T00:00:00+14:00", "too far away"),
        ("words: a", "A list is wanted"),
        ("board: Backup", "Write id and name"),
        ("board: {id: 1, name: x, nam: y}", "“nam” is not known"),
        ("flat: x", "There is no such field. Did you mean “flag”?"),
        ("text: [a]", "this is a list"),
    ],
)
def test_what_is_no_such_value_is_refused_with_its_line(line: str, says: str) -> None:
    _, faults = read(f"# first\n{line}")
    assert len(faults) == 1, faults
    assert says in faults[0]
    assert faults[0].startswith("line 2 ")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("text: a\ntext: b", "stands here twice (also line 1)"),
        ("text: !!python/object/apply:os.system [id]", "Tags like"),
        ("text: !x y", "Tags like"),
        ("<<: {text: a}", "“<<” is not used"),
        ("a: *b", "stands for nothing"),
        ("text: a\n---\ntext: b", "second document"),
        ("? [a]\n: b", "A key must be a single value"),
        ("- a", "is a mapping that begins"),
        ("", "empty"),
        ("text: 'a", "This is not YAML"),
        ("text: \x07", "This is not YAML"),
        ("\x00", "NUL"),
        ('{"text": 1', "This is not JSON"),
        ('{"text": "a", "text": "b"}', "stands twice"),
        ("[" * 100_000, "nested deeper"),
        ("{" + '"a":{' * 50_000, "nested too deeply"),
        ("a: " + "{a: " * 30 + "}" * 30, "nested deeper"),
    ],
)
def test_what_is_no_document_is_refused(text: str, says: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        configtree.read(text)
    assert says in refusal.value.fault.text


def test_a_billion_laughs_are_refused_before_anything_is_built() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    started = time.process_time()
    with pytest.raises(Unreadable) as refusal:
        configtree.read("\n".join(lines))
    assert "aliases repeat" in refusal.value.fault.text
    assert time.process_time() - started < 5


def test_aliases_that_are_modest_repeat_what_they_name() -> None:
    found, faults = read("below:\n  a: &x same\n  b: *x")
    assert (found, faults) == ({"below": {"a": "same", "b": "same"}}, [])


def test_json_says_the_same_as_yaml() -> None:
    text = {"text": "no", "flag": True, "number": 5, "words": ["b", "a"], "board": {"id": "1", "name": "x"}}
    assert read(json.dumps(text)) == read(yaml.safe_dump(text))


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "text": st.text(
                st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=200
            ),
            "flag": st.booleans(),
            "number": st.integers(0, 2**31 - 1),
            "fraction": st.decimals(0, 1000, places=2).map(lambda one: format(one.normalize(), "f")),
            "words": st.lists(
                st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)
            ),
            "board": st.fixed_dictionaries(
                {"id": st.text("0123456789", min_size=1), "name": st.text("aé \"':#-")}
            ),
            "below": st.dictionaries(
                st.sampled_from(["no", "007", "a: b", "- x", "Ünï", "#", "{", "1e3", "~", "x (10)", "x (2)"]),
                st.sampled_from(
                    [
                        "",
                        " ",
                        "a\nb",
                        "a\n",
                        "\n",
                        "#",
                        "- a\n  b\n",
                        "no",
                        "\ttab",
                        "a \nb",
                        "\u2028",
                        "\r\n",
                        "'",
                        "\\",
                    ]
                ),
            ),
        },
    )
)
@settings(max_examples=300, deadline=None)
def test_whatever_is_written_reads_as_the_same_also_for_other_readers(tree: dict[str, Any]) -> None:
    tree = {name: value for name, value in tree.items() if value != {}}
    if "words" in tree:
        tree["words"] = SHAPE.fields["words"].tidy(tree["words"])
    text = configtext.text_of(SHAPE, tree, head="x", notes={"text": "y"})
    others = yaml.safe_load(text)
    assert others.pop("version") == 1
    others["fraction"] = str(others["fraction"]) if "fraction" in others else None
    mine = tree | {"fraction": str(yaml.safe_load(tree["fraction"])) if "fraction" in tree else None}
    assert others == mine
    if not tree:
        return
    found, faults = read(text.replace("version: 1\n", "", 1))
    assert (found or {}, faults) == (tree, [])
    assert configtext.text_of(SHAPE, found or {}, head="x", notes={"text": "y"}) == text


def test_keys_stand_in_the_order_that_people_count_in() -> None:
    assert ordered(["b", "A (10)", "A (2)", "A", "10", "9"]) == ["9", "10", "A", "A (2)", "A (10)", "b"]
    assert Fraction(least=Decimal(1)).default is None
