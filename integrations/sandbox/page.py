"""The page at `/` for people who want to see what the pretend PSA holds and was asked."""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from integrations.sandbox.dialect import Section
from integrations.sandbox.requestlog import Entry

_STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 2rem; color: #222 }
table { border-collapse: collapse; margin-bottom: 2rem; width: 100% }
th, td { border-bottom: 1px solid #ddd; padding: .25rem .6rem; text-align: left; vertical-align: top }
th { background: #f4f4f4 }
"""
_REQUEST_COLUMNS = ("No.", "Time (UTC)", "Method", "Path", "Status", "Fault", "Wrote")


def rendered(title: str, sections: Sequence[Section], requests: Sequence[Entry]) -> str:
    tables = [
        *sections,
        Section("Recent requests", _REQUEST_COLUMNS, [_request_row(one) for one in requests]),
    ]
    body = "".join(_table(section) for section in tables)
    head = f"<meta charset='utf-8'><title>{escape(title)}</title><style>{_STYLE}</style>"
    intro = "<p>A pretend PSA. <a href='/__sandbox__/'>Control door</a></p>"
    body = f"<body><h1>{escape(title)}</h1>{intro}{body}</body>"
    return f"<!doctype html><html lang='en'><head>{head}</head>{body}</html>"


def _table(section: Section) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in section.columns)
    rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in section.rows)
    return (
        f"<h2>{escape(section.title)}</h2><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _cell(value: Any) -> str:
    return f"<td>{'' if value is None else escape(str(value))}</td>"


def _request_row(entry: Entry) -> Sequence[Any]:
    at = datetime.fromtimestamp(entry.at, UTC).strftime("%H:%M:%S")
    target = entry.path + (f"?{entry.query}" if entry.query else "")
    status = entry.status or "none"
    return (entry.number, at, entry.method, target, status, entry.fault, "yes" if entry.committed else "")
