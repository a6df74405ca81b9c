"""The pages for people: what the pretend PSA holds, what it was asked, and forms to be its technician.

    /                    the overview, with links to everything
    /view/{name}         one list or record, as the dialect tells it
    /view/requests       what was asked; /view/requests/{number} with its body
    /view/faults         the faults in force, and a form for more
    /view/switches       every switch with its meaning, and a form for each
    /view/technician     what a technician can do, and a form for it

Forms are for the same machine only, like the control door, and are refused when another site's page sends them.
Everything that comes from outside is escaped.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from integrations.sandbox import switching
from integrations.sandbox.control import ControlDoor
from integrations.sandbox.dialect import Cell, ControlError, Dialect, Form, Link, Section
from integrations.sandbox.faults import FAULTS, Faults
from integrations.sandbox.messages import Answer, Request, html_answer, with_headers
from integrations.sandbox.requestlog import Entry, RequestLog

PREFIX = "/view"
SHOWN_REQUESTS = 200
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 80rem; padding: 1rem 1.5rem; color: #1c2430 }
nav a { margin-right: 1rem }
table { border-collapse: collapse; margin: .5rem 0 2rem; width: 100% }
th, td { border-bottom: 1px solid #d5dae1; padding: .3rem .6rem; text-align: left; vertical-align: top;
  overflow-wrap: anywhere }
thead th { background: #eef1f5 }
form { border: 1px solid #d5dae1; border-radius: .4rem; padding: .8rem 1rem; margin: 0 0 1rem }
td form { border: 0; padding: 0; margin: 0 }
label { display: block; margin: .3rem 0 }
label input, label select, label textarea { display: block; width: 100%; max-width: 40rem; font: inherit;
  padding: .25rem .4rem; box-sizing: border-box }
button { font: inherit; padding: .25rem .8rem }
.said { background: #e7f4e8; border: 1px solid #4f8a54; padding: .6rem 1rem }
.refused { background: #fbe9e7; border: 1px solid #a33; padding: .6rem 1rem }
pre { white-space: pre-wrap; background: #f5f6f8; padding: .6rem }
"""


@dataclass(slots=True)
class Sheet:
    """One page before it is HTML."""

    title: str
    sections: list[Section] = field(default_factory=list)
    forms: list[Form] = field(default_factory=list)
    text: str = ""
    said: str = ""
    is_refusal: bool = False
    status: int = 200


class Pages:
    def __init__(self, dialect: Dialect, faults: Faults, log: RequestLog, door: ControlDoor) -> None:
        self._dialect = dialect
        self._faults = faults
        self._log = log
        self._door = door

    def answers(self, request: Request) -> bool:
        path = request.path
        return path == "/" or path == PREFIX or path.startswith(PREFIX + "/")

    def answer(self, request: Request) -> Answer:
        name, _, rest = request.path.removeprefix(PREFIX).strip("/").partition("/")
        if request.method == "POST":
            sheet = self._act(request, name, rest)
        elif request.method == "GET":
            sheet = self._sheet(request, name, rest)
        else:
            sheet = Sheet("Not allowed", status=405)
        html = self._rendered(sheet)
        policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
        return with_headers(html_answer(html, status=sheet.status), [("Content-Security-Policy", policy)])

    # --- What is shown

    def _sheet(self, request: Request, name: str, rest: str) -> Sheet:
        if not name:
            return Sheet(f"Sandbox: {self._dialect.kind}", [*self._dialect.sections(), self._requests(10)])
        if name == "requests":
            return (
                self._request(request, rest) if rest else Sheet("Requests", [self._requests(SHOWN_REQUESTS)])
            )
        if name == "faults":
            return self._faults_sheet()
        if name == "switches":
            return self._switches_sheet()
        if name == "technician":
            return Sheet("Technician", [_actions(self._dialect.actions())], [_technician_form(self._dialect)])
        if found := self._dialect.view(name, rest, request.query):
            return Sheet(found.title, list(found.sections), list(found.forms))
        return Sheet("There is no such page", status=404)

    def _requests(self, count: int) -> Section:
        columns = ("No.", "Time (UTC)", "Method", "Path", "Status", "Fault", "Wrote")
        return Section("Recent requests", columns, [_request_row(one) for one in self._log.newest(count)])

    def _request(self, request: Request, number: str) -> Sheet:
        """Bodies may hold what only somebody at this machine should read."""
        if not self._door.admits(request):
            return Sheet("Only from this machine", status=403)
        entries = self._log.since(int(number) - 1) if number.isdigit() else []
        if not entries or str(entries[0].number) != number:
            return Sheet("That request is not kept", status=404)
        shown = entries[0].as_json()
        body = shown.pop("body")
        rows = [(name, value) for name, value in shown.items()]
        return Sheet(f"Request {number}", [Section("What was asked", ("", ""), rows)], text=body)

    def _faults_sheet(self) -> Sheet:
        rows = [
            (
                rule.id,
                rule.fault,
                json.dumps(rule.match),
                rule.rate,
                "always" if rule.times is None else rule.times,
                rule.hits,
                Form(f"{PREFIX}/faults/{rule.id}/remove", "Remove", ()),
            )
            for rule in self._faults.rules()
        ]
        columns = ("Id", "Fault", "Match", "Rate", "Times", "Hits", "")
        add = Form(
            f"{PREFIX}/faults",
            "Add the fault",
            (
                ("fault", "Fault", tuple(FAULTS), ""),
                ("method", "Method (regular expression)", (), "POST"),
                ("path", "Path (regular expression)", (), ""),
                ("rate", "Rate, 0 to 1", (), "1"),
                ("times", "Times; empty for always", (), "1"),
                ("parameters", "More, as JSON", (), "{}"),
            ),
        )
        known = [(name, ", ".join(one.parameters), one.commits) for name, one in FAULTS.items()]
        return Sheet(
            "Faults",
            [
                Section("In force", columns, rows),
                Section("Known", ("Fault", "Parameters", "The PSA carries the request out"), known),
            ],
            [add, Form(f"{PREFIX}/faults/all/remove", "Remove all faults", ())],
        )

    def _switches_sheet(self) -> Sheet:
        rows: list[Sequence[Cell]] = []
        for one in self._dialect.switches():
            values = tuple(
                str(choice).lower() if isinstance(choice, bool) else str(choice) for choice in one.choices
            )
            now = str(one.value).lower() if isinstance(one.value, bool) else str(one.value)
            form = Form(f"{PREFIX}/switches", "Set", ((one.name, "", values, now),))
            rows.append((one.name, one.help, str(one.default), form))
        text = "Facts that sources disagree on, or that nobody has published; each can be the other way."
        return Sheet("Switches", [Section(text, ("Switch", "Meaning", "Default", "Now"), rows)])

    # --- What forms do

    def _act(self, request: Request, name: str, rest: str) -> Sheet:
        if not self._door.admits(request) or not _is_from_here(request):
            return Sheet("Forms work from this machine and this page only", status=403)
        given = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        try:
            said = self._done(name, rest, given)
        except (ControlError, ValueError) as error:
            sheet = self._sheet(request, name, "")
            sheet.said, sheet.is_refusal, sheet.status = str(error), True, 400
            return sheet
        sheet = self._sheet(request, name, "")
        sheet.said = said
        return sheet

    def _done(self, name: str, rest: str, given: Mapping[str, str]) -> str:
        if name == "faults" and rest.endswith("/remove"):
            which = rest.removesuffix("/remove")
            self._door.call("DELETE", "faults" if which == "all" else f"faults/{which}")
            return "The fault is gone." if which != "all" else "All faults are gone."
        if name == "faults":
            return f"Fault {self._door.call('POST', 'faults', body=_rule(given))['id']} is in force."
        if name == "switches":
            values = {
                key: switching.typed(self._dialect.switch_values(), key, text) for key, text in given.items()
            }
            self._door.call("POST", "switches", body=values)
            return ", ".join(f"{key} is {value}" for key, value in values.items()) + "."
        if name == "technician":
            action = given.get("action", "")
            body = {
                key: _value(text) for key, text in given.items() if key not in ("action", "body") and text
            }
            body |= _object(given.get("body", ""))
            done = self._door.call("POST", f"technician/{action}", body=body)
            return f"{action}: {json.dumps(done, ensure_ascii=False)[:600]}"
        raise ControlError("there is no such form")

    # --- HTML

    def _rendered(self, sheet: Sheet) -> str:
        links = [Link("Overview", "/"), *self._dialect.links()]
        links += [
            Link(text.capitalize(), f"{PREFIX}/{text}")
            for text in ("technician", "requests", "faults", "switches")
        ]
        links.append(Link("Control door", "/__sandbox__/"))
        said = (
            f"<p class='{'refused' if sheet.is_refusal else 'said'}' role='status'>{escape(sheet.said)}</p>"
        )
        parts = [
            f"<nav aria-label='Sandbox'>{''.join(map(_link, links))}</nav>",
            f"<main><h1>{escape(sheet.title)}</h1>",
            said if sheet.said else "",
            *map(_form, sheet.forms),
            *map(_table, sheet.sections),
            f"<pre>{escape(sheet.text)}</pre>" if sheet.text else "",
            "</main>",
        ]
        head = f"<meta charset='utf-8'><title>{escape(sheet.title)}</title><style>{_STYLE}</style>"
        viewport = "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        return f"<!doctype html><html lang='en'><head>{head}{viewport}</head><body>{''.join(parts)}</body></html>"


def _technician_form(dialect: Dialect) -> Form:
    return Form(
        f"{PREFIX}/technician",
        "Do it",
        (("action", "Action", tuple(dialect.actions()), ""), ("body", "Body, as JSON", None, "{}")),
    )


def _actions(actions: Mapping[str, str]) -> Section:
    return Section("What a technician can do", ("Action", "Body"), list(actions.items()))


def _rule(given: Mapping[str, str]) -> dict[str, Any]:
    match = {name: given[name] for name in ("method", "path") if given.get(name)}
    times = given.get("times", "").strip()
    rule = {"fault": given.get("fault"), "match": match, "rate": float(given.get("rate") or 1)}
    return {**rule, "times": int(times) if times else None, **_object(given.get("parameters", ""))}


def _object(text: str) -> dict[str, Any]:
    found = json.loads(text) if text.strip() else {}
    if not isinstance(found, dict):
        raise ControlError("the JSON must be an object")
    return found


def _value(text: str) -> Any:
    return int(text) if text.isdigit() and len(text) < 15 else text


def _is_from_here(request: Request) -> bool:
    """Browsers name the page that a form comes from; a form of another site is not ours."""
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


def _table(section: Section) -> str:
    head = "".join(f"<th scope='col'>{escape(column)}</th>" for column in section.columns)
    rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in section.rows)
    more = f"<p>{_link(section.more)}</p>" if section.more else ""
    return f"<h2>{escape(section.title)}</h2><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}"


def _cell(value: Any) -> str:
    if isinstance(value, Link):
        return f"<td>{_link(value)}</td>"
    if isinstance(value, Form):
        return f"<td>{_form(value)}</td>"
    return f"<td>{'' if value is None else escape(str(value))}</td>"


def _link(link: Link) -> str:
    return f"<a href='{escape(link.href, quote=True)}'>{escape(link.text)}</a> "


def _form(form: Form) -> str:
    fields = "".join(_field(*one) for one in form.fields)
    hidden = "".join(_hidden(name, value) for name, value in form.fixed)
    target = quote(form.target, safe="/")
    return (
        f"<form method='post' action='{target}'>{hidden}{fields}<button>{escape(form.label)}</button></form>"
    )


def _hidden(name: str, value: str) -> str:
    return f"<input type='hidden' name='{escape(name, quote=True)}' value='{escape(value, quote=True)}'>"


def _field(name: str, label: str, choices: Iterable[str] | None, value: str) -> str:
    named = f"name='{escape(name, quote=True)}'" + (
        "" if label else f" aria-label='{escape(name, quote=True)}'"
    )
    shown = escape(value, quote=True)
    options = tuple(choices or ())
    if options:
        inner = "".join(
            f"<option{' selected' if one == value else ''}>{escape(one)}</option>" for one in options
        )
        field = f"<select {named}>{inner}</select>"
    elif choices is None:
        field = f"<textarea rows='3' {named}>{shown}</textarea>"
    else:
        field = f"<input {named} value='{shown}'>"
    return f"<label>{escape(label)}{field}</label>" if label else field


def _request_row(entry: Entry) -> Sequence[Cell]:
    at = datetime.fromtimestamp(entry.at, UTC).strftime("%H:%M:%S")
    target = entry.path + (f"?{entry.query}" if entry.query else "")
    number = Link(str(entry.number), f"{PREFIX}/requests/{entry.number}")
    status = entry.status or "none"
    return (number, at, entry.method, target, status, entry.fault, "yes" if entry.committed else "")
