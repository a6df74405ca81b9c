"""Do prepared questions answer as querysets do, and do SQLite's writers stand in line?"""

from __future__ import annotations

import sqlite3
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest

from portal import database
from portal.models import Client, Partner
from tests import make

numbered = database.Prepared(
    lambda partner, numbers: Client.objects.filter(partner_id=partner, number__in=numbers).order_by("number")
)
named = database.Prepared(lambda names, most: Partner.objects.filter(name__in=names)[:2])


@pytest.fixture
def bakeries(db: None) -> Partner:
    msp = make.partner()
    for number in range(20_000, 20_010):
        make.clients.add_client(msp, name=f"Bakery {number}", number=number)
    return msp


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 8, 9])
def test_it_answers_as_the_queryset_does_for_every_length(bakeries: Partner, count: int) -> None:
    for first in (20_000, 20_001):
        numbers = list(range(first, first + count))
        found = numbered(bakeries.pk, numbers)
        assert [client.number for client in found] == numbers
        assert found == list(Client.objects.filter(partner=bakeries, number__in=numbers).order_by("number"))


def test_other_values_give_other_rows_and_nothing_is_kept_of_the_former_answer(bakeries: Partner) -> None:
    assert numbered(uuid.uuid4(), [20_000]) == []
    [before] = numbered(bakeries.pk, [20_000])
    Client.objects.filter(pk=before.pk).update(name="Bakery Ott")
    [after] = numbered(bakeries.pk, [20_000])
    assert (before.name, after.name) == ("Bakery 20000", "Bakery Ott")


def test_a_none_is_asked_as_a_queryset_would_ask_it(bakeries: Partner) -> None:
    assert numbered(None, [20_000]) == []


def test_a_question_that_does_not_compare_with_its_value_is_refused(bakeries: Partner) -> None:
    with pytest.raises(ValueError, match="compare"):
        named(["Northwind MSP"], 2)


def test_one_query_is_asked_each_time(bakeries: Partner, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(2):
        numbered(bakeries.pk, [20_001])
        numbered(bakeries.pk, [20_002])


def test_writers_in_line_write_one_after_the_other(tmp_path: Path) -> None:
    """Each adds one to what it read; without the line, updates would be lost."""
    path, total = str(tmp_path / "line"), tmp_path / "total"
    total.write_text("0")

    def add() -> None:
        for _ in range(20):
            with database._in_line(path):
                total.write_text(str(int(total.read_text()) + 1))

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert total.read_text() == "80"


def test_who_waits_too_long_goes_on_without_the_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LINE_TIME", 0.05)
    path = str(tmp_path / "line")
    held = (tmp_path / "line").open("w")
    assert database._is_locked(held.fileno())
    with database._in_line(path):
        assert sqlite3.sqlite_version
    held.close()
