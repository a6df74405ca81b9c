"""What Django's ORM has no words for (asked by operations that write in bulk)."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import threading
import time
import uuid
from collections.abc import Callable, Hashable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection as default_connection
from django.db import connections, models, router, transaction

MOST_PARAMETERS = 30_000
"""SQLite takes 32,766 parameters a statement, PostgreSQL 65,535."""
FEW_ROWS = 5
"""From here on PostgreSQL gets one array a column: psycopg is slow at finding thousands of places in a statement."""


SEVERAL_WRITERS = {"40001", "40P01"}
"""SQLSTATEs of a lost race that PostgreSQL asks to repeat: serialization failure, deadlock."""


def lost_a_race(error: Exception) -> bool:
    """Whether the transaction may simply be done again."""
    return getattr(error.__cause__, "sqlstate", None) in SEVERAL_WRITERS


def insert_new(rows: Sequence[models.Model]) -> set[Any]:
    """Insert those rows that no unique constraint forbids; returns the primary keys that went in.

    Unlike `bulk_create(ignore_conflicts=True)` it tells which rows were new, in the same statement
    (`ON CONFLICT DO NOTHING RETURNING`, PostgreSQL and SQLite 3.35). On PostgreSQL a concurrent insert of the same
    key is waited for. All rows are of one model, and bring their primary key: one that the database makes would be
    NULL here, which SQLite takes and PostgreSQL refuses.
    """
    if not rows:
        return set()
    model = type(rows[0])
    if isinstance(model._meta.pk, models.AutoField):
        raise TypeError(f"{model.__name__} has its primary key from the database; use bulk_create.")
    fields = [field for field in model._meta.concrete_fields if not field.generated]
    size = max(1, MOST_PARAMETERS // len(fields))
    inserted: set[Any] = set()
    for start in range(0, len(rows), size):
        inserted |= _insert(model, fields, rows[start : start + size])
    return inserted


def save_all(rows: Sequence[models.Model], fields: Sequence[str]) -> None:
    """Write `fields` of existing rows in one statement per 30,000 parameters.

    An upsert by primary key: several times cheaper than `bulk_update`, whose CASE expression grows with rows x fields.
    """
    if rows:
        model = type(rows[0])
        size = max(1, MOST_PARAMETERS // len(model._meta.concrete_fields))
        model._default_manager.bulk_create(
            rows,
            batch_size=size,
            update_conflicts=True,
            unique_fields=[model._meta.pk.name],
            update_fields=fields,
        )


def _array_of(field: Any, connection: Any) -> str:
    """The array type of a column, without length: a cast to varchar(100) would cut silently."""
    kind, _, rest = field.db_type(connection).partition("(")
    return f"{kind}{rest.partition(')')[2]}[]"


_TEXTS = {"CharField", "TextField"}
_NUMBERS = {"IntegerField", "PositiveIntegerField", "PositiveSmallIntegerField", "PositiveBigIntegerField"}


def _direct_types(field: Any, connection: Any) -> frozenset[type]:
    """Types whose values a driver takes as they are; for these Django's preparation, half of an insert, does nothing.

    Empty for fields of others' making (encrypted ones) and for those that make their own value.
    """
    if not type(field).__module__.startswith("django.db.models.fields") or getattr(field, "auto_now", False):
        return frozenset()
    kind = field.get_internal_type()
    if kind in _TEXTS:
        return frozenset({str, type(None)})
    if kind in _NUMBERS:
        return frozenset({int, type(None)})
    if kind == "BooleanField":
        return frozenset({bool, type(None)})
    if kind in {"UUIDField", "ForeignKey", "OneToOneField"} and connection.features.has_native_uuid_field:
        return frozenset({uuid.UUID, type(None)})
    if kind == "DateTimeField" and connection.vendor == "postgresql" and not field.auto_now_add:
        return frozenset({datetime, type(None)})
    return frozenset()


def _insert(model: type[models.Model], fields: list[Any], rows: Sequence[models.Model]) -> set[Any]:
    connection = connections[router.db_for_write(model)]
    quote = connection.ops.quote_name
    columns = ", ".join(quote(field.column) for field in fields)
    in_columns = connection.vendor == "postgresql" and len(rows) >= FEW_ROWS
    if in_columns:
        arrays = ", ".join(f"%s::{_array_of(field, connection)}" for field in fields)
        source = f"SELECT * FROM UNNEST({arrays})"  # noqa: S608 - types of our own columns
    else:
        marks = f"({', '.join(['%s'] * len(fields))})"
        source = f"VALUES {', '.join([marks] * len(rows))}"
    sql = (
        f"INSERT INTO {quote(model._meta.db_table)} ({columns}) {source} "
        f"ON CONFLICT DO NOTHING RETURNING {quote(str(model._meta.pk.column))}"
    )
    ways = [(field, _direct_types(field, connection)) for field in fields]
    values = [
        value if type(value) in direct else field.get_db_prep_save(value, connection)
        for row in rows
        for field, direct in ways
        for value in (row.__dict__[field.attname] if direct else field.pre_save(row, True),)
    ]
    if in_columns:
        values = [values[place :: len(fields)] for place in range(len(fields))]
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        keys = [key for (key,) in cursor.fetchall()]
    return {model._meta.pk.to_python(key) for key in keys}


# --- SQLite's one writer ---------------------------------------------------------------------------------------------

LINE_TIME = 10.0
LINE_LOOK = 0.0005
_first = threading.Lock()
_here = threading.local()


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """`transaction.atomic()` for the busiest writers: on SQLite they stand in line for its one writer's place.

    SQLite itself lets waiting writers sleep longer and longer (up to 0.1 s), whoever comes last goes first, and the
    place is empty meanwhile. Here one thread of each process looks every 0.5 ms. The line is a courtesy: who does not
    get to its head within ten seconds goes on without it, and SQLite's own lock decides as ever.
    """
    path = _line_of(default_connection)
    if path is None or getattr(
        _here, "is_first", False
    ):  # what runs on commit runs before the place is given back
        with transaction.atomic():
            yield
        return
    with _in_line(path):
        _here.is_first = True
        try:
            with transaction.atomic():
                yield
        finally:
            _here.is_first = False


def _line_of(connection: Any) -> str | None:
    """The file that writers lock; None on PostgreSQL, in memory, and for whoever is writing already."""
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        return None
    name = str(connection.settings_dict["NAME"])
    return None if ":memory:" in name or "mode=memory" in name else f"{name}-line"


@contextlib.contextmanager
def _in_line(path: str) -> Iterator[None]:
    ends_at = time.monotonic() + LINE_TIME
    if not _first.acquire(timeout=LINE_TIME):
        yield
        return
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not _is_locked(file) and time.monotonic() < ends_at:
            time.sleep(LINE_LOOK)
        yield
    finally:
        os.close(file)  # gives the lock back
        _first.release()


def _is_locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


# --- Questions that are asked for ever -------------------------------------------------------------------------------

MOST_VALUES = 256
"""Longer lists of values are not worth keeping a statement for."""
_LONG_AGO = datetime(1901, 1, 1, tzinfo=UTC)
_marks = itertools.count(1)


class Prepared:
    """A SELECT that Django builds once a thread and then only fills with other values.

    Django takes 0.4 to 1 ms to build a SELECT, ten times what the database needs to answer it; the walk of an event
    asks the same dozen for ever. `build` gets one argument a value (a list for each collection) and must use it for
    nothing but comparisons; keyword arguments are part of the statement. The rows are those of the queryset. Lists are
    filled up to a power of two with their last value, so that few statements do for all lengths.
    """

    def __init__(self, build: Callable[..., models.QuerySet[Any]]) -> None:
        self.build = build
        self.kept = threading.local()

    def __call__(self, *values: Any, **constants: Hashable) -> list[Any]:
        given = [value if is_single(value) else list(value) for value in values]
        if any(value is None or (isinstance(value, list) and not may_be_kept(value)) for value in given):
            return list(self.build(*given, **constants))
        given = [filled_up(value) if isinstance(value, list) else value for value in given]
        shape = (
            *(len(value) if isinstance(value, list) else -1 for value in given),
            *sorted(constants.items()),
        )
        statements: dict[Any, _Statement] = self.kept.__dict__
        statement = statements.get(shape)
        if statement is None or not statement.is_of_this_connection():
            statement = statements[shape] = _Statement(self.build, given, constants)
        return statement.ask(
            [one for value in given for one in (value if isinstance(value, list) else [value])]
        )


def is_single(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, uuid.UUID, datetime))


def may_be_kept(values: list[Any]) -> bool:
    return 0 < len(values) <= MOST_VALUES and None not in values


def filled_up(values: list[Any]) -> list[Any]:
    length: int = 2 ** (len(values) - 1).bit_length()
    return values + values[-1:] * (length - len(values))


class _Statement:
    """One compiled SELECT of one thread's connection, with the places where values go."""

    def __init__(
        self, build: Callable[..., models.QuerySet[Any]], given: Sequence[Any], constants: Any
    ) -> None:
        marks = [
            [mark_like(one) for one in value] if isinstance(value, list) else mark_like(value)
            for value in given
        ]
        self.rows = build(*marks, **constants)
        self.connection = connections[self.rows.db]
        self.compiler = self.rows.query.get_compiler(using=self.rows.db)
        self.sql, params = self.compiler.as_sql()
        flat = [one for mark in marks for one in (mark if isinstance(mark, list) else [mark])]
        place_of = {self.adapted(one): place for place, one in enumerate(flat)}
        self.params = [
            (place_of.get(param) if isinstance(param, Hashable) else None, param) for param in params
        ]
        if {place for place, _ in self.params} - {None} != set(range(len(flat))):
            raise ValueError("A prepared question must compare with each of its values")
        self.rows.query.get_compiler = lambda *args, **more: self.compiler  # type: ignore[method-assign]

    def is_of_this_connection(self) -> bool:
        return connections[self.rows.db] is self.connection

    def adapted(self, value: Any) -> Any:
        """A value as this database's driver gets it from Django."""
        if isinstance(value, uuid.UUID) and not self.connection.features.has_native_uuid_field:
            return value.hex
        if isinstance(value, datetime):
            return self.connection.ops.adapt_datetimefield_value(value)
        return value

    def ask(self, values: Sequence[Any]) -> list[Any]:
        params = tuple(
            param if place is None else self.adapted(values[place]) for place, param in self.params
        )
        self.compiler.as_sql = lambda *args, **more: (self.sql, params)
        rows: Any = self.rows._iterable_class(self.rows)
        return list(rows)


def mark_like(value: Any) -> Any:
    """A value of the same type that occurs nowhere else."""
    number = next(_marks)
    if isinstance(value, uuid.UUID):
        return uuid.uuid4()
    if isinstance(value, datetime):
        return _LONG_AGO + timedelta(seconds=number)
    if isinstance(value, str):
        return f"mark {number} {uuid.uuid4()}"
    return 1_000_000_000 + number
