"""Billing of agreements at the pretend ConnectWise: a period, what it protects, and taking it back."""

import pytest

AGREEMENT = "/finance/agreements/401"


def addition(call):
    return call("GET", f"{AGREEMENT}/additions").json[0]


def invoiced(call):
    reply = call("POST", f"{AGREEMENT}/invoice")
    assert reply.status == 201
    assert isinstance(reply.json, int)
    return reply.json


def test_an_invoice_adds_up_the_additions_and_the_next_period_is_due(call):
    due = call("GET", "/finance/agreementrecap/401").json
    invoice = call("GET", f"/finance/invoices/{invoiced(call)}").json
    expected = sum(row["extPrice"] for row in call("GET", f"{AGREEMENT}/additions").json)
    assert invoice["total"] == pytest.approx(expected) == pytest.approx(due["nextInvoiceAmount"])
    assert invoice["date"] == due["nextInvoiceDate"]
    after = call("GET", "/finance/agreementrecap/401").json
    assert after["nextInvoiceDate"] > due["nextInvoiceDate"]
    assert after["lastInvoiceNumber"] == invoice["invoiceNumber"]


def test_what_was_invoiced_keeps_product_and_date_but_not_quantity(call):
    invoiced(call)
    path = f"{AGREEMENT}/additions/{addition(call)['id']}"
    assert call("DELETE", path).status == 400
    assert call.patch(path, ("replace", "effectiveDate", "2026-02-01T00:00:00Z")).status == 400
    assert call.patch(path, ("replace", "product", {"id": 302})).status == 400
    assert call.patch(path, ("replace", "quantity", 300)).json["quantity"] == 300
    assert not [name for name in call("GET", path).json if name.startswith("_") and name != "_info"]


def test_an_invoice_that_is_gone_protects_nothing_and_is_due_again(call):
    due = call("GET", "/finance/agreementrecap/401").json["nextInvoiceDate"]
    assert call("DELETE", f"/finance/invoices/{invoiced(call)}").status == 204
    assert call("GET", "/finance/agreementrecap/401").json["nextInvoiceDate"] == due
    assert call("DELETE", f"{AGREEMENT}/additions/{addition(call)['id']}").status == 204


def test_a_posted_invoice_stays_until_a_person_opens_it(call, sandbox):
    invoice = invoiced(call)
    sandbox.control.technician("post", invoice=invoice)
    assert call("DELETE", f"/finance/invoices/{invoice}").status == 400
    assert call.patch(f"/finance/invoices/{invoice}", ("replace", "reference", "x")).status == 400
    assert call("GET", f"/finance/invoices/{invoice}").json["status"]["name"] == "Closed"
    sandbox.control.technician("unpost", invoice=invoice)
    assert call("DELETE", f"/finance/invoices/{invoice}").status == 204


def test_the_switch_leaves_what_was_invoiced_free(call, sandbox):
    sandbox.control.switches(invoiced="free")
    invoiced(call)
    assert call("DELETE", f"{AGREEMENT}/additions/{addition(call)['id']}").status == 204


def test_a_cancelled_agreement_is_not_invoiced(call, sandbox):
    sandbox.control.technician("cancel", agreement=401)
    assert call("POST", f"{AGREEMENT}/invoice").status == 400
