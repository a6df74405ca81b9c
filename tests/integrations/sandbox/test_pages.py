"""The pages for people, at both pretend PSAs: everything can be looked at, forms work, nothing is taken for HTML."""

import http.client
from html.parser import HTMLParser
from urllib.parse import urlencode

import pytest

NASTY = "<script>alert('x')</script>\"&"


class Reader(HTMLParser):
    """The links, forms and tags of a page."""

    def __init__(self):
        super().__init__()
        self.links, self.forms, self.tags = [], [], []

    def handle_starttag(self, tag, attrs):
        known = dict(attrs)
        self.tags.append(tag)
        if tag == "a":
            self.links.append(known["href"])
        if tag == "form":
            self.forms.append(known["action"])


def get(sandbox, target):
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=5)
    try:
        connection.request("GET", target)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def post(sandbox, target, origin=None, **fields):
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=5)
    headers = {"Content-Type": "application/x-www-form-urlencoded"} | ({"Origin": origin} if origin else {})
    try:
        connection.request("POST", target, urlencode(fields), headers)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def read(text):
    reader = Reader()
    reader.feed(text)
    return reader


@pytest.fixture(params=["connectwise", "autotask"])
def psa(request):
    return request.getfixturevalue("sandbox" if request.param == "connectwise" else "autotask")


def open_one(psa, text):
    name = "summary" if psa.dialect.kind == "connectwise" else "title"
    more = (
        {}
        if name == "summary"
        else {"companyID": 201, "queueID": 29682834, "dueDateTime": "2030-01-01T00:00:00Z"}
    )
    return psa.control.technician("create", fields={name: text, **more})


def test_every_link_leads_to_a_page(psa):
    open_one(psa, NASTY)
    seen, left = set(), ["/"]
    while left:
        target = left.pop()
        if target in seen or target.startswith(("/__sandbox__", "http")) or len(seen) > 150:
            continue
        seen.add(target)
        status, text = get(psa, target)
        assert status == 200, target
        reader = read(text)
        assert "script" not in reader.tags, target
        left += reader.links
    assert {"/view/tickets", "/view/switches", "/view/faults", "/view/requests"} <= seen


def test_what_a_client_sends_is_never_html(psa):
    ticket = open_one(psa, NASTY)
    psa.control.technician("note", ticket=ticket["id"], text=NASTY)
    for target in ("/", "/view/tickets", f"/view/tickets/{ticket['id']}"):
        _, text = get(psa, target)
        assert "<script>" not in text
        assert "&lt;script&gt;" in text


def test_a_ticket_is_closed_by_its_form(psa):
    ticket = open_one(psa, "Fan is loud")
    _, page = get(psa, f"/view/tickets/{ticket['id']}")
    assert "/view/technician" in read(page).forms
    status, said = post(psa, "/view/technician", action="close", ticket=ticket["id"], status="")
    assert status == 200
    assert "role='status'" in said
    assert psa.control.tickets(id=ticket["id"], open="true") == []


def test_a_form_of_another_site_and_a_wrong_one_do_nothing(psa):
    ticket = open_one(psa, "Fan is loud")
    form = {"action": "close", "ticket": ticket["id"]}
    assert post(psa, "/view/technician", origin="http://evil.example", **form)[0] == 403
    assert post(psa, "/view/technician", action="close", ticket=424242)[0] == 400
    assert post(psa, "/view/technician", action="explode")[0] == 400
    assert len(psa.control.tickets(id=ticket["id"], open="true")) == 1


def test_a_fault_is_added_and_removed_by_forms(psa):
    form = {
        "fault": "status_500",
        "method": "POST",
        "path": "ickets",
        "rate": "1",
        "times": "2",
        "parameters": "{}",
    }
    assert post(psa, "/view/faults", **form)[0] == 200
    [rule] = psa.control.get("faults")
    assert (rule["fault"], rule["times"]) == ("status_500", 2)
    assert post(psa, f"/view/faults/{rule['id']}/remove")[0] == 200
    assert psa.control.get("faults") == []
    assert post(psa, "/view/faults", fault="nonsense")[0] == 400


def test_every_switch_is_listed_with_its_meaning_and_can_be_set(psa):
    _, page = get(psa, "/view/switches")
    for switch in psa.dialect.switches():
        assert f"<td>{switch.name}</td>" in page
        if switch.name not in ("slow_seconds", "slower_from_percent", "slower_seconds", "slow_from_percent"):
            assert switch.help or switch.name.endswith(
                ("_seconds", "_required", "_webhooks", "_attempts", "_status")
            )
    assert post(psa, "/view/switches", case_sensitive="true")[0] == 200
    assert psa.control.get("switches")["case_sensitive"] is True
    assert post(psa, "/view/switches", case_sensitive="perhaps")[0] == 400


def test_an_invoice_and_a_posting_are_made_by_forms(sandbox, autotask):
    post(sandbox, "/view/technician", action="invoice", agreement=401)
    [invoice] = sandbox.control.get("invoices", agreement=401)
    post(sandbox, "/view/technician", action="post", invoice=invoice["id"])
    assert "Unpost" in get(sandbox, "/view/agreements/401")[1]
    post(autotask, "/view/technician", action="post", contract=401, date="")
    [contract] = autotask.control.get("contracts", id=401)
    assert all(row["units"][-3].get("approveAndPostDate") for row in contract["services"])
