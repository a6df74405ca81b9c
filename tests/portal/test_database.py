"""Do prepared questions answer as querysets do, and do SQLite's writers wait without standing in each other's way?"""

from __future__ import annotations

import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections, transaction
from django.db.utils import OperationalError

from portal import database
from portal.models import Client, Partner, Tries
from portal.sqlite.base import DatabaseWrapper
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


@pytest.mark.django_db(transaction=True)
def test_what_runs_on_commit_does_not_wait_for_its_own_writer() -> None:
    took = []

    def write_more() -> None:
        began = time.monotonic()
        with database.writing():
            make.partner("Southwind MSP")
        took.append(time.monotonic() - began)

    with database.writing():
        transaction.on_commit(write_more)
    assert took[0] < database.LINE_TIME / 2
    assert Partner.objects.filter(name="Southwind MSP").exists()


def test_who_waits_too_long_goes_on_without_the_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LINE_TIME", 0.05)
    path = str(tmp_path / "line")
    held = (tmp_path / "line").open("w")
    assert database._is_locked(held.fileno())
    with database._in_line(path):
        assert sqlite3.sqlite_version
    held.close()


# --- Waiting for SQLite's one writer ---------------------------------------------------------------------------------


@pytest.fixture
def open_sqlite(db: None, tmp_path: Path) -> Iterator[Callable[[], DatabaseWrapper]]:
    """Makes connections to one new file, each as another process would hold it."""
    opened: list[DatabaseWrapper] = []

    def connect() -> DatabaseWrapper:
        settings = {**connections["default"].settings_dict, "NAME": str(tmp_path / "shared.sqlite3")}
        settings["OPTIONS"] = {
            "timeout": 5,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL",
        }
        opened.append(DatabaseWrapper(settings, alias="default"))
        opened[-1].inc_thread_sharing()
        return opened[-1]

    with connect().cursor() as cursor:
        cursor.execute("CREATE TABLE total (value int)")
        cursor.execute("INSERT INTO total VALUES (0)")
    yield connect
    for connection in opened:
        connection.close()


def test_a_writer_that_drops_a_waiting_connections_cursor_does_not_wait_for_it(
    open_sqlite: Callable[[], DatabaseWrapper],
) -> None:
    """As the garbage collector does: with SQLite's own waiting both stand still until it gives up."""
    writer, waiting = open_sqlite(), open_sqlite()
    left_over = [waiting.cursor()]
    left_over[0].execute("SELECT 1 UNION ALL SELECT 2")  # not read to its end
    writer.cursor().execute("BEGIN IMMEDIATE")
    add = threading.Thread(target=lambda: waiting.cursor().execute("UPDATE total SET value = value + 1"))
    add.start()
    time.sleep(0.2)
    began = time.monotonic()
    left_over.clear()
    writer.cursor().execute("COMMIT")
    took = time.monotonic() - began
    add.join()
    assert took < 2
    assert writer.cursor().execute("SELECT value FROM total").fetchone() == (1,)


def test_writers_of_many_connections_lose_nothing(open_sqlite: Callable[[], DatabaseWrapper]) -> None:
    def add_to(connection: DatabaseWrapper) -> None:
        for _ in range(50):
            connection.cursor().execute("UPDATE total SET value = value + 1")

    threads = [threading.Thread(target=add_to, args=[open_sqlite()]) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert open_sqlite().cursor().execute("SELECT value FROM total").fetchone() == (300,)


def test_a_writer_gives_up_after_its_time(open_sqlite: Callable[[], DatabaseWrapper]) -> None:
    first, second = open_sqlite(), open_sqlite()
    second.settings_dict["OPTIONS"]["timeout"] = 0.05
    first.cursor().execute("BEGIN IMMEDIATE")
    with pytest.raises(OperationalError, match="locked"):
        second.cursor().execute("BEGIN IMMEDIATE")


def test_rows_whose_key_the_database_makes_are_not_inserted_by_hand() -> None:
    """SQLite would take the NULL, PostgreSQL not."""
    with pytest.raises(TypeError, match="Tries has its primary key from the database"):
        database.insert_new([Tries(kind="address", subject="x")])


def test_many_rows_outside_a_transaction_are_refused(open_sqlite: Callable[[], DatabaseWrapper]) -> None:
    with pytest.raises(OperationalError, match="atomic"):
        open_sqlite().cursor().executemany("INSERT INTO total VALUES (%s)", [(1,), (2,)])
