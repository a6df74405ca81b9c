"""How does SQLite wait when somebody else writes (asked by Django; named in settings)?

Inside SQLite a waiting statement sleeps with its connection's mutex held. When the thread that writes just then lets go
of the last reference to one of that connection's cursors - the garbage collector may do so in any thread - it waits
for the mutex, and both wait until SQLite gives up: every writer of the host stands still for 20 seconds. So SQLite
itself never waits here: it says "busy" at once, and the wait is ours, with nothing held.
"""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from django.db.backends.sqlite3 import base
from django.db.utils import OperationalError

from portal import clock

MAY_PASS = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_RECOVERY}
"""Busy answers to a statement that did nothing yet. Not BUSY_SNAPSHOT: that transaction must begin again."""
FIRST_PAUSE = 0.0005
LONGEST_PAUSE = 0.02


class DatabaseWrapper(base.DatabaseWrapper):
    """As Django's; the `timeout` option (seconds) is how long a statement is tried again while SQLite is busy."""

    @property
    def patience(self) -> float:
        return float(self.settings_dict["OPTIONS"].get("timeout", 5.0))

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """A connection nobody else knows yet may wait inside SQLite; from then on it never does."""
        connection = super().get_new_connection(conn_params)
        connection.execute("PRAGMA busy_timeout = 0")
        return connection

    def create_cursor(self, name: str | None = None) -> Any:
        cursor = self.connection.cursor(factory=PatientCursor)
        cursor.patience = self.patience
        return cursor


class PatientCursor(base.SQLiteCursorWrapper):
    """A cursor whose statements are tried again while another process or thread writes."""

    patience: float

    def execute(self, query: str, params: Any = None) -> Any:
        gives_up_at = time.monotonic() + self.patience
        pause = FIRST_PAUSE
        while True:
            try:
                return super().execute(query, params)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode not in MAY_PASS or time.monotonic() > gives_up_at:
                    raise
            time.sleep(clock.spread(pause, by=0.5).total_seconds())
            pause = min(pause * 1.5, LONGEST_PAUSE)

    def executemany(self, query: str, param_list: Any) -> Any:
        """Outside a transaction each row would commit by itself, and "busy" would not tell how far it came."""
        if not self.connection.in_transaction:
            raise OperationalError(
                "executemany needs transaction.atomic(): half of its rows might be written"
            )
        return super().executemany(query, param_list)
