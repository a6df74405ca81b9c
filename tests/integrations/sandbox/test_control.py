"""The control door over HTTP, the technician, the journal, the page, and the state file."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from integrations.sandbox import running_sandbox
from integrations.sandbox.control import ControlDoor
from integrations.sandbox.messages import Request
from tests.integrations.sandbox.conftest import Caller

ROOT = Path(__file__).parents[3]


def test_the_door_tells_what_it_can_do(call):
    help_text = call("GET", "/__sandbox__/").json
    assert {"faults", "requests", "counts", "journal", "technician", "role", "keys", "reset"} <= {
        name.rpartition("/")[2] for name in help_text["verbs"]
    }
    assert help_text["faults"]["commit_then_drop"]["commits"]


def test_faults_are_set_listed_and_cleared_over_http(call):
    rule = {"match": {"method": "GET", "path": "/boards"}, "fault": "status_500", "times": 1}
    assert call("POST", "/__sandbox__/faults", [rule]).json[0]["id"] == 1
    assert call("GET", "/service/boards").status == 500
    assert call("GET", "/__sandbox__/faults").json[0]["hits"] == 1
    assert call("DELETE", "/__sandbox__/faults").json == {"removed": 1}


def test_what_cannot_be_done_is_a_400_with_a_sentence(call):
    for path, body in [
        ("faults", {"fault": "x"}),
        ("nothing", {}),
        ("role", {"x": "All"}),
        ("switches", {"x": 1}),
    ]:
        reply = call("POST", f"/__sandbox__/{path}", body)
        assert reply.status == 400
        assert reply.json["error"]


def test_other_machines_are_kept_out_unless_let_in(running):
    request = Request("GET", "/__sandbox__/counts", peer="192.0.2.7")
    closed = ControlDoor(running.dialect, running.faults, running.log, open_to_all=False)
    opened = ControlDoor(running.dialect, running.faults, running.log, open_to_all=True)
    assert (closed.answer(request).status, opened.answer(request).status) == (403, 200)


def test_requests_are_remembered_without_secrets(call, sandbox):
    call.open_ticket(externalXRef="portal:1")
    seen = sandbox.control.requests()
    assert seen[-1]["committed"]
    assert json.loads(seen[-1]["body"])["externalXRef"] == "portal:1"
    assert "Authorization" not in str(seen)
    assert "Basic " not in str(seen)
    assert sandbox.control.requests(since=seen[-1]["number"]) == []


def test_counting_tells_reads_from_writes(call, sandbox):
    call.open_ticket()
    call("GET", "/service/boards/1/statuses")
    counts = sandbox.control.counts()
    assert (counts["reads"], counts["writes"]) == (1, 1)
    assert counts["by_path"]["GET /v4_6_release/apis/3.0/service/boards/{id}/statuses"] == 1


def test_the_journal_lists_committed_creations_with_their_request(call, sandbox):
    first, second = call.open_ticket(externalXRef="a"), call.open_ticket(externalXRef="b")
    lines = sandbox.control.journal("ticket")
    assert [(line["id"], line["externalXRef"]) for line in lines] == [(first["id"], "a"), (second["id"], "b")]
    numbers = [line["request"] for line in lines]
    assert [entry["number"] for entry in sandbox.control.requests()] == numbers


def test_the_technician_moves_closes_reopens_and_notes(call, sandbox):
    ticket = call.open_ticket(type={"name": "Storage"})["id"]
    do = sandbox.control.technician
    assert do("move", ticket=ticket, board=3)["board"]["name"] == "Alerts"
    assert do("close", ticket=ticket)["closedBy"] == "technician"
    assert not do("reopen", ticket=ticket)["closedFlag"]
    assert do("note", ticket=ticket, text="Looking")["createdBy"] == "technician"
    assert do("company", ticket=ticket, company=251)["site"]["id"] == 1001
    assert do("edit", ticket=ticket, fields={"summary": "Edited"})["_info"]["updatedBy"] == "technician"


def test_the_technician_merges_and_makes_children(call, sandbox):
    one, two, three = (call.open_ticket()["id"] for _ in range(3))
    merged = sandbox.control.technician("merge", ticket=one, into=two)
    assert merged["closedFlag"]
    assert merged["mergedParentTicket"]["id"] == two
    sandbox.control.technician("child", ticket=three, parent=two)
    parent = call("GET", f"/service/tickets/{two}").json
    assert parent["hasMergedChildTicketFlag"]
    assert parent["hasChildTicket"]
    assert call("GET", f"/service/tickets/{three}").json["parentTicketId"] == two


def test_a_new_name_shows_wherever_it_is_referred_to(call, sandbox):
    ticket = call.open_ticket()
    sandbox.control.technician("rename", status=ticket["status"]["id"], name="Fresh")
    sandbox.control.technician("rename", company=250, name="Ott & Sons")
    shown = call("GET", f"/service/tickets/{ticket['id']}").json
    assert (shown["status"]["name"], shown["company"]["name"]) == ("Fresh", "Ott & Sons")


def test_the_technician_may_set_what_only_the_server_sets(call, sandbox):
    sandbox.control.technician("company", company=251, fields={"deletedFlag": True})
    assert call("GET", "/company/companies/count", conditions="deletedFlag=true").json == {"count": 1}


def test_a_cancelled_agreement_says_so_on_its_additions(sandbox):
    sandbox.control.technician("cancel", agreement=401)
    agreement = sandbox.control.agreements(id=401)[0]
    assert agreement["cancelledFlag"]
    assert {one["agreementStatus"] for one in agreement["additions"]} == {"Cancelled"}


def test_the_technician_says_what_is_missing(call):
    assert call("POST", "/__sandbox__/technician/move", {"ticket": 1}).status == 400
    assert call("POST", "/__sandbox__/technician/dance", {}).status == 400


def test_the_page_shows_tickets_and_escapes_them(call):
    call.open_ticket(summary="<script>alert(1)</script>")
    page = call("GET", "/").body.decode()
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>" not in page
    assert "EFS-19652" in page


def test_resetting_brings_the_seed_back_the_same(call, sandbox):
    before = call("GET", "/company/companies").body
    call.open_ticket()
    sandbox.control.role(agreements="None")
    sandbox.control.reset()
    assert call("GET", "/company/companies").body == before
    assert call("GET", "/service/tickets/count").json == {"count": 3}
    assert call("GET", "/finance/agreements").status == 200


def test_a_restart_keeps_everything_acknowledged(tmp_path):
    state = tmp_path / "state.jsonl"
    with running_sandbox(state=state) as sandbox:
        call = Caller(sandbox, sandbox.dialect.credentials())
        ticket = call.open_ticket(externalXRef="kept", initialDescription="Kept too")
        sandbox.control.technician("delete", ticket=10001)
        keys = sandbox.control.rotate_keys()
    with state.open("ab") as file:
        file.write(b'{"changes": [["put", "ti')
    with running_sandbox(state=state) as sandbox:
        call = Caller(sandbox, keys)
        assert call("GET", f"/service/tickets/{ticket['id']}").json["externalXRef"] == "kept"
        assert len(call("GET", f"/service/tickets/{ticket['id']}/notes").json) == 1
        assert call("GET", "/service/tickets/10001").status == 404
        assert [line["externalXRef"] for line in sandbox.control.journal("ticket")] == ["kept"]
        assert call.open_ticket()["id"] == ticket["id"] + 1


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_as_a_module_it_says_where_it_listens_survives_a_kill_and_stops_at_once(tmp_path):
    command = [
        sys.executable,
        "-m",
        "integrations.sandbox",
        "--port",
        "0",
        "--state",
        str(tmp_path / "state"),
    ]

    def started():
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        url = process.stdout.readline().split()[-1]
        return process, int(url.rpartition(":")[2])

    process, port = started()
    keys = {"company": "cirrus", "public_key": "sandboxPublicKey1", "private_key": "sandboxPrivateKey1"}
    call = Caller(
        type("At", (), {"port": port}), {**keys, "client_id": "5ca1ab1e-0000-4000-8000-000000000001"}
    )
    ticket = call.open_ticket()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    process, call.sandbox.port = started()
    assert call("GET", f"/service/tickets/{ticket['id']}").status == 200
    process.terminate()
    process.communicate(timeout=5)
    assert process.returncode == 0
