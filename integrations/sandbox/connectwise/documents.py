"""Documents: uploaded as a form of several parts, listed by record, downloaded (ConnectWise REST 2026.4)."""

import base64
import uuid
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

from integrations.sandbox.connectwise.answers import Refused, invalid, missing, not_found, not_found_in
from integrations.sandbox.connectwise.calls import Call, page_of
from integrations.sandbox.connectwise.desk import Desk
from integrations.sandbox.connectwise.store import Record, public
from integrations.sandbox.messages import Answer

RESOURCE = "documentInfo"
TABLES = {
    "ticket": "tickets",
    "company": "companies",
    "contact": "contacts",
    "configuration": "configurations",
    "agreement": "agreements",
}
"""Record types that have documents here; the API knows more (projects, orders ...)."""
Result = tuple[int, Any]


def upload(desk: Desk, call: Call) -> Result:
    form, file_name, content = _parts(call)
    errors = [missing(RESOURCE, name) for name in ("recordType", "recordId") if not form.get(name.lower())]
    if content is None and not form.get("url"):
        errors.append(missing(RESOURCE, "file"))
    if errors:
        raise invalid(RESOURCE, errors)
    owner = _owner(desk, form["recordtype"], form["recordid"])
    row_id = desk.store.new_id("documents")
    made = {"id": row_id, "owner": desk.actor, "createdOnDate": desk.now(), "guid": str(uuid.uuid4())}
    return 201, public(desk.save_new("documents", {**made, **_values(form, file_name, content), **owner}))


def change(desk: Desk, call: Call) -> Result:
    before = _document(desk, call.ids[0])
    form, file_name, content = _parts(call)
    values = _values(form, file_name, content) if content is not None or form.get("url") else {}
    titled = {"title": form["title"]} if form.get("title") else {}
    return 200, public(desk.save("documents", {**before, **values, **titled}))


def get(desk: Desk, call: Call) -> Result:
    return 200, public(_document(desk, call.ids[0]))


def delete(desk: Desk, call: Call) -> Result:
    desk.store.delete("documents", _document(desk, call.ids[0])["id"])
    return 204, None


def download(desk: Desk, call: Call) -> Answer:
    document = _document(desk, call.ids[0])
    content = base64.b64decode(document.get("_content", ""))
    name = str(document.get("fileName", "document")).encode("ascii", "replace").decode().replace('"', "")
    header = (("Content-Disposition", f'attachment; filename="{name}"'),)
    return Answer(200, content, "application/octet-stream", header)


def listed(desk: Desk, call: Call) -> Result:
    return 200, [public(row) for row in page_of(_asked_for(desk, call), call.wish)]


def counted(desk: Desk, call: Call) -> Result:
    return 200, {"count": len(_asked_for(desk, call))}


def of_ticket(desk: Desk, call: Call) -> Result:
    rows = page_of(_of(desk, "tickets", _ticket(desk, call)), call.wish)
    return 200, [{"id": row["id"], "name": row.get("title") or row.get("fileName", "")} for row in rows]


def count_of_ticket(desk: Desk, call: Call) -> Result:
    return 200, {"count": len(_of(desk, "tickets", _ticket(desk, call)))}


def _ticket(desk: Desk, call: Call) -> int:
    if desk.store.get("tickets", call.ids[0]) is None:
        raise not_found("ticket", call.ids[0])
    return call.ids[0]


def _asked_for(desk: Desk, call: Call) -> list[Record]:
    query = call.wish.query
    errors = [missing(RESOURCE, name) for name in ("recordType", "recordId") if not query.get(name.lower())]
    if errors:
        raise invalid(RESOURCE, errors)
    owner = _owner(desk, query["recordtype"], query["recordid"])
    return _of(desk, owner["_table"], owner["_record"])


def _of(desk: Desk, table: str, row_id: int) -> list[Record]:
    rows = desk.store.all("documents")
    return [row for row in rows if row["_table"] == table and row["_record"] == row_id]


def _owner(desk: Desk, record_type: str, record_id: str) -> Record:
    table = TABLES.get(record_type.strip().lower())
    if table is None:
        raise invalid(RESOURCE, [not_found_in(RESOURCE, "recordType", f"{record_type} not found")])
    if not record_id.isdigit() or desk.store.get(table, int(record_id)) is None:
        message = f"{record_type} {record_id} not found"
        raise invalid(RESOURCE, [not_found_in(RESOURCE, "recordId", message)])
    return {"_table": table, "_record": int(record_id)}


def _document(desk: Desk, row_id: int) -> Record:
    found = desk.store.get("documents", row_id)
    if found is None:
        raise not_found("document", row_id)
    return found


def _values(form: dict[str, str], file_name: str, content: bytes | None) -> Record:
    is_link = content is None
    name = file_name or form.get("url", "")
    return {
        "title": form.get("title") or name,
        "fileName": name,
        "serverFileName": name,
        "linkFlag": is_link,
        "urlFlag": is_link,
        "imageFlag": name.lower().endswith((".png", ".jpg", ".jpeg", ".gif")),
        "publicFlag": form.get("privateflag", "").lower() != "true",
        "htmlTemplateFlag": False,
        "readOnlyFlag": form.get("readonlyflay", "").lower() == "true",
        "size": len(content or b""),
        "_content": base64.b64encode(content or b"").decode(),
    }


def _parts(call: Call) -> tuple[dict[str, str], str, bytes | None]:
    """The fields of the form by lower-case name, the file's name and its bytes."""
    media_type = call.request.headers.get("content-type", "")
    if not media_type.lower().startswith("multipart/form-data"):
        raise Refused(415, "UnsupportedMediaType", "Send multipart/form-data.")
    head = f"Content-Type: {media_type}\r\n\r\n".encode("latin-1", "replace")
    message = BytesParser(policy=HTTP).parsebytes(head + call.request.body)
    form: dict[str, str] = {}
    file_name, content = "", None
    for part in message.iter_parts() if message.is_multipart() else ():
        name = str(part.get_param("name", "", header="content-disposition")).lower()
        raw = part.get_payload(decode=True)
        data = raw if isinstance(raw, bytes) else b""
        if name == "file":
            file_name, content = part.get_filename() or "", data
        elif name:
            form[name] = data.decode("utf-8", "replace").strip()
    return form, file_name, content
