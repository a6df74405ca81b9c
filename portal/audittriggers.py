"""What keeps the audit log from being edited, in the database itself (asked by its migration and its tests).

A later migration that rebuilds the table on SQLite has to install them again.
"""

from __future__ import annotations

from typing import Any

TABLE = "portal_auditentry"
REFUSAL = "the audit log is only ever added to"

ON_SQLITE = tuple(
    f"CREATE TRIGGER IF NOT EXISTS audit_no_{verb.lower()} BEFORE {verb} ON {TABLE} "
    f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
    for verb in ("UPDATE", "DELETE")
)
ON_POSTGRESQL = (
    (
        f"CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$ "
        "LANGUAGE plpgsql"
    ),
    (
        f"CREATE OR REPLACE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON {TABLE} "
        "FOR EACH ROW EXECUTE FUNCTION audit_refuse()"
    ),
    (
        f"CREATE OR REPLACE TRIGGER audit_no_truncate BEFORE TRUNCATE ON {TABLE} "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()"
    ),
)
OFF_SQLITE = ("DROP TRIGGER IF EXISTS audit_no_update", "DROP TRIGGER IF EXISTS audit_no_delete")
OFF_POSTGRESQL = (
    f"DROP TRIGGER IF EXISTS audit_no_change ON {TABLE}",
    f"DROP TRIGGER IF EXISTS audit_no_truncate ON {TABLE}",
)


def install(connection: Any) -> None:
    run(connection, ON_POSTGRESQL if connection.vendor == "postgresql" else ON_SQLITE)


def remove(connection: Any) -> None:
    run(connection, OFF_POSTGRESQL if connection.vendor == "postgresql" else OFF_SQLITE)


def run(connection: Any, statements: tuple[str, ...]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
