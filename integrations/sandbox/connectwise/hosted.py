"""The page of ConnectWise around a hosted tab: an iframe with somebody else's page, and the talk with it.

`/hosted/{setup}?id=250&member=mreyes` shows record 250 of the set-up's screen as member mreyes would see it. Talk is
`postMessage` of JSON texts: the child says ready, the parent gives it a frame id, the child asks for the member, the
screen's record, another screen; events of the parent are acknowledged by the child (public description of the hosted
API). Everything that was said is listed below the frame.
"""

import json
from html import escape
from urllib.parse import urlsplit

from integrations.sandbox.connectwise import members
from integrations.sandbox.connectwise.settings import API_MEMBER, Settings
from integrations.sandbox.connectwise.store import Record, Store
from integrations.sandbox.connectwise.system import OLDEST_CODEBASE
from integrations.sandbox.messages import Answer, Request, html_answer, text_answer, with_headers

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 14px/1.4 system-ui, sans-serif; margin: 1rem; color: #222 }}
iframe {{ border: 1px solid #666; width: 100%; height: {height}px }}
button {{ margin-right: .5rem }}
#talk {{ font-family: monospace; white-space: pre-wrap }}
</style></head>
<body>
<p><a href="/">Sandbox: connectwise</a></p>
<h1>{title}</h1>
<p>{screen} {record} as seen by {member}.</p>
<p><button data-event="onLoad">onLoad</button><button data-event="beforeSave">beforeSave</button>
<button data-event="beforeBack">beforeBack</button></p>
<iframe id="hosted" title="{title}" src="{source}"></iframe>
<h2>Talk</h2><ul id="talk"></ul>
<script type="application/json" id="facts">{facts}</script>
<script>
"use strict";
const facts = JSON.parse(document.getElementById("facts").textContent);
const frame = document.getElementById("hosted");
const talk = document.getElementById("talk");
let events = 0;

function note(direction, text) {{
  const line = document.createElement("li");
  line.textContent = direction + " " + text;
  talk.append(line);
}}

function say(message) {{
  const text = JSON.stringify(message);
  note("to the tab:", text.replaceAll(facts.member.memberHash, "..."));
  frame.contentWindow.postMessage(text, facts.origin);
}}

const answers = {{
  getmemberauthentication: () => facts.member,
  getscreenobject: () => facts.screen,
  openscreen: (asked) => ({{opened: true, ...asked.options}}),
  refreshscreen: () => ({{refreshed: true}}),
  setdirty: () => ({{dirty: true}}),
}};

window.addEventListener("message", (event) => {{
  if (event.source !== frame.contentWindow) return;
  if (event.origin !== facts.origin) {{ note("refused, from another origin:", event.origin); return; }}
  let said;
  try {{ said = JSON.parse(event.data); }} catch (error) {{ note("not JSON:", String(event.data)); return; }}
  note("from the tab:", event.data);
  if (said.message === "ready") {{ say({{MessageFrameID: facts.frame}}); return; }}
  if (said.event) return;
  const name = String(said.hosted_request || "").toLowerCase();
  if (!name || said.frameID !== facts.frame) return;
  if (answers[name]) say({{response: name, data: answers[name](said)}});
}});

for (const button of document.querySelectorAll("button[data-event]")) {{
  button.addEventListener("click", () => say({{event: button.dataset.event, _id: String(++events)}}));
}}
</script>
</body></html>
"""


def page(store: Store, settings: Settings, request: Request, setup_id: int) -> Answer:
    setup = store.get("hostedSetups", setup_id)
    if setup is None or setup.get("disabledFlag"):
        return text_answer("There is no such hosted tab.", status=404)
    screen = store.get("hostedScreens", setup["screenId"]) or {}
    asked = request.query.get("id", "")
    record = int(asked) if asked.isdigit() else 0
    member = _viewer(store, request.query.get("member", ""))
    url = str(setup["url"]).replace("[cw_id]", str(record)).replace("[cw_screen]", screen.get("screenId", ""))
    origin = setup.get("origin") or "{0.scheme}://{0.netloc}".format(urlsplit(url))
    facts = {
        "frame": f"frame{setup_id}",
        "origin": origin.rstrip("/"),
        "member": _authentication(settings, request, member),
        "screen": {"screen": screen.get("screenId"), "id": record, "hostedAs": setup["type"].lower()},
    }
    html = _PAGE.format(
        title=escape(setup["description"]),
        screen=escape(str(screen.get("name"))),
        record=record,
        member=escape(member["identifier"]),
        source=escape(url, quote=True),
        height=int(setup.get("podHeight") or 420),
        facts=json.dumps(facts).replace("<", "\\u003c"),
    )
    return with_headers(html_answer(html), [("Cache-Control", "no-store")])


def _viewer(store: Store, identifier: str) -> Record:
    people = [row for row in store.all("members") if row["identifier"] != API_MEMBER]
    return next((row for row in people if row["identifier"] == identifier), people[0])


def _authentication(settings: Settings, request: Request, member: Record) -> Record:
    identifier = member["identifier"]
    return {
        "site": request.headers.get("host", "localhost"),
        "companyid": settings.company,
        "memberid": identifier,
        "memberHash": members.member_hash(settings, identifier),
        "memberContext": "web",
        "memberEmail": member.get("officeEmail", ""),
        "codeBase": f"{OLDEST_CODEBASE}/",
        "ssoAccessToken": "",
        "ssoIdToken": "",
    }
