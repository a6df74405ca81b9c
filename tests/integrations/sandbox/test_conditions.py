"""Does the parser read what the grammar allows, refuse the rest, and mean what SQL would?"""

import random

import pytest

from integrations.sandbox.connectwise.conditions import (
    BadConditions,
    Both,
    Comparison,
    Either,
    Moment,
    parsed,
)
from integrations.sandbox.connectwise.matching import Comparing, condition_test, like_pattern
from integrations.sandbox.connectwise.shapes import TICKET

TICKETS = [
    {
        "id": number,
        "summary": f"Backup failed {number}",
        "board": {"id": number % 3, "name": f"Board {number % 3}"},
        "closedFlag": number % 2 == 0,
        "externalXRef": None if number % 5 == 0 else f"key-{number:02}",
        "_info": {"lastUpdated": f"2026-02-{number:02}T10:00:00Z"},
    }
    for number in range(1, 21)
]


def found(conditions, how=Comparing()):  # noqa: B008 - frozen
    test = condition_test(conditions, TICKET, how)[1]
    return [ticket["id"] for ticket in TICKETS if test(ticket)]


@pytest.mark.parametrize(
    ("conditions", "ids"),
    [
        ("id=3", [3]),
        ("id in (3, 5,7) and closedFlag=False", [3, 5, 7]),
        ("id not in (1,2) and id<5", [3, 4]),
        ("board/id=1 and (id<5 or id>=19)", [1, 4, 19]),
        ('summary contains "FAILED 20"', [20]),
        ("summary not contains '1' and id<=3", [2, 3]),
        ('externalXRef like "key-1%"', [11, 12, 13, 14, 16, 17, 18, 19]),
        ('externalXRef like "*-0[12]"', [1, 2]),
        ('externalXRef not like "key-%"', []),
        ("externalXRef=null", [5, 10, 15, 20]),
        ("externalXRef!=null and id<4", [1, 2, 3]),
        ("lastUpdated>[2026-02-18T10:00:00Z]", [19, 20]),
        ("lastUpdated>=[2026-02-20T11:00:00+01:00]", [20]),
        ("lastUpdated>=[2026-02-20T10:00:00.000001Z]", []),
        ("_info/lastUpdated<[2026-02-02]", [1]),
        ("closedFlag=True AND Id < 3 OR id = 9", [2, 9]),
    ],
)
def test_conditions_select_what_they_say(conditions, ids):
    assert found(conditions) == ids


@pytest.mark.parametrize(
    "conditions",
    [
        "",
        "id",
        "id=",
        "id=1 and",
        "id=1 id=2",
        "(id=1",
        "id=1)",
        "id in ()",
        "id in 1",
        'summary="one""two"',
        'summary="open',
        "nothing=1",
        "board/id/name=1",
        "closedFlag=1",
        'id="1"',
        "summary=5",
        'lastUpdated>"2026-01-01"',
        "lastUpdated>[yesterday]",
        'board="Backup"',
        "id contains 1",
        "id > null",
        "id=1; drop",
        "(" * 200 + "id=1" + ")" * 200,
    ],
)
def test_anything_else_is_refused(conditions):
    with pytest.raises(BadConditions):
        found(conditions)


def test_and_binds_stronger_than_or():
    tree = parsed("id=1 or id=2 and id=3")
    one, two, three = (Comparison("id", "=", number) for number in (1, 2, 3))
    assert tree == Either((one, Both((two, three))))


@pytest.mark.parametrize("text", ['"it\'s"', "'say \"hi\"'"])
def test_each_quote_protects_the_other(text):
    assert parsed(f"summary={text}") == Comparison("summary", "=", text[1:-1])


def test_a_backslash_escapes_only_when_switched_on():
    text = r'summary="say \"hi\""'
    with pytest.raises(BadConditions):
        parsed(text)
    assert parsed(text, escapes=True) == Comparison("summary", "=", 'say "hi"')


def test_case_matters_only_when_switched_on():
    assert found('summary="BACKUP FAILED 1"') == [1]
    assert found('summary="BACKUP FAILED 1"', Comparing(case_sensitive=True)) == []


def random_tree(dice, depth=0):
    kind = dice.choice(["is", "is", "both", "either"]) if depth < 4 else "is"
    if kind == "is":
        values = [dice.randrange(20), "a 'b' ]", "(x) and y", True, None, Moment("2026-02-01T10:00:00")]
        return Comparison(
            dice.choice(["id", "board/name", "_info/x"]), dice.choice(["=", "!="]), dice.choice(values)
        )
    parts = tuple(random_tree(dice, depth + 1) for _ in range(dice.randrange(2, 4)))
    return Both(parts) if kind == "both" else Either(parts)


def written(node):
    if isinstance(node, Comparison):
        value = node.value
        shown = (
            f"[{value.text}Z]"
            if isinstance(value, Moment)
            else f'"{value}"'
            if isinstance(value, str)
            else value
        )
        return f"{node.path} {node.operator} {'null' if shown is None else shown}"
    word = " and " if isinstance(node, Both) else " OR "
    return "(" + word.join(written(part) for part in node.parts) + ")"


@pytest.mark.parametrize("seed", range(200))
def test_what_a_tree_writes_reads_back_as_the_same_tree(seed):
    tree = random_tree(random.Random(seed))
    assert parsed(written(tree)) == tree


@pytest.mark.parametrize("seed", range(200))
def test_no_text_makes_the_parser_fail_otherwise(seed):
    dice = random.Random(seed)
    words = [
        "id",
        "=",
        "and",
        "or",
        "not",
        "in",
        "like",
        "(",
        ")",
        ",",
        '"',
        "'",
        "[",
        "]",
        "5",
        "-",
        "%",
        "\\",
        "é",
        " ",
    ]
    text = "".join(dice.choice(words) + dice.choice(["", " "]) for _ in range(dice.randrange(1, 15)))
    try:
        condition_test(text, TICKET, Comparing())[1](TICKETS[0])
    except BadConditions:
        return


@pytest.mark.parametrize("pattern", ["[", "[]", "[]a]", "[^]", "[a-", "[z-a]", "\\", "a[[]b"])
def test_a_strange_pattern_is_a_pattern_all_the_same(pattern):
    like_pattern(pattern, Comparing()).fullmatch("a[b")


def test_a_bracket_in_brackets_is_a_bracket():
    assert like_pattern("%[[]text]", Comparing()).fullmatch("some [text]")
