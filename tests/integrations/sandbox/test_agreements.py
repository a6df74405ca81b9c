"""Additions, products, management reports and companies."""

import pytest

ADDITIONS = "/finance/agreements/401/additions"


def test_additions_carry_the_managed_id_and_what_is_billed(call):
    rows = call("GET", ADDITIONS).json
    storage = next(row for row in rows if row["product"]["identifier"] == "OBS-GB")
    assert storage["serialNumber"] == "EFS-19652"
    assert (storage["quantity"], storage["lessIncluded"], storage["billedQuantity"]) == (250.0, 100.0, 150.0)


def test_a_new_addition_takes_price_and_text_from_its_product(call):
    body = {
        "product": {"identifier": "FSE"},
        "billCustomer": "Billable",
        "quantity": 3,
        "serialNumber": "EFS-19652",
    }
    reply = call("POST", ADDITIONS, body)
    assert reply.status == 201
    assert (reply.json["unitPrice"], reply.json["extPrice"], reply.json["agreementId"]) == (20.0, 60.0, 401)
    assert reply.json["invoiceDescription"] == "File Server Enablement"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"product": None}, "product"),
        ({"billCustomer": None}, "billCustomer"),
        ({"serialNumber": "x" * 51}, "serialNumber"),
        ({"invoiceDescription": "x" * 6001}, "invoiceDescription"),
        ({"quantity": "NaN"}, "quantity"),
        ({"product": {"id": 1}}, "product/id"),
    ],
    ids=str,
)
def test_an_addition_that_cannot_be_is_refused_by_field(call, wrong, field):
    body = {"product": {"identifier": "FSE"}, "billCustomer": "Billable", **wrong}
    reply = call("POST", ADDITIONS, body)
    assert (reply.status, reply.json["errors"][0]["field"]) == (400, field)


def test_a_new_quantity_changes_what_is_billed_and_nothing_else(call):
    before = call("GET", ADDITIONS).json[0]
    after = call.patch(f"{ADDITIONS}/{before['id']}", ("replace", "quantity", "312.5")).json
    assert (after["quantity"], after["billedQuantity"], after["extPrice"]) == (312.5, 212.5, 53.12)
    changed = {name for name in after if after[name] != before[name]}
    assert changed <= {"quantity", "billedQuantity", "extPrice", "extCost", "margin", "_info"}


def test_an_addition_belongs_to_its_agreement(call):
    assert call("GET", "/finance/agreements/402/additions/3001").status == 404
    assert call("GET", "/finance/agreements/999/additions").status == 404


def test_agreements_are_recurring_one_time_or_cancelled(call):
    rows = call("GET", "/finance/agreements", pageSize=100).json
    assert {row["agreementStatus"] for row in rows} == {"Active", "Cancelled"}
    assert [row["type"]["name"] for row in rows if row["billOneTimeFlag"]] == ["Project"]
    active = call("GET", "/finance/agreements", conditions='company/id=254 and agreementStatus="Active"').json
    assert len(active) == 1


def test_products_are_found_and_created(call):
    body = {
        "identifier": "NEW-1",
        "description": "New",
        "customerDescription": "New",
        "subcategory": {"id": 3},
        "type": {"id": 5},
    }
    assert call("POST", "/procurement/catalog", body).status == 201
    assert call("POST", "/procurement/catalog", {**body, "description": "x" * 61}).status == 400
    assert len(call("GET", "/procurement/catalog", conditions='identifier like "new%"').json) == 1


def test_management_reports_live_by_create_change_replace_and_delete(call, sandbox):
    path = "/company/companies/260/managementSummaryReports"
    body = {
        "groupIdentifier": "EFS-19744",
        "deviceType": "BackupStats",
        "managementSolution": {"name": "EFS Backup"},
    }
    report = call("POST", path, {**body, "successfulBackupJobs": 3}).json
    assert (report["company"]["id"], report["managementSolution"]["setupName"]) == (260, "EFS Backup")
    assert call("POST", path, body).json["errors"][0]["code"] == "ObjectExists"
    own = f"{path}/{report['id']}"
    assert call.patch(own, ("replace", "failedBackupJobs", 2)).json["successfulBackupJobs"] == 3
    assert "successfulBackupJobs" not in call("PUT", own, body).json
    assert call("DELETE", own).status == 204
    assert call("GET", own).status == 404


def test_a_company_needs_an_address_and_an_identifier_of_its_own(call):
    body = {"identifier": "NewCo", "name": "New Company"}
    assert call("POST", "/company/companies", body).status == 400
    assert call("POST", "/company/companies", {**body, "city": "Bonn"}).status == 201
    again = call("POST", "/company/companies", {**body, "city": "Bonn", "identifier": "newco"})
    assert again.json["errors"][0]["code"] == "ObjectExists"
