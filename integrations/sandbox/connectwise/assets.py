"""Configurations (devices) of companies, and the set-up tables that products refer to: shapes, resources, first rows.

ConnectWise REST 2026.4, `/company/configurations` and `/procurement/...`; the same notation as in `shapes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from integrations.sandbox.connectwise.answers import field_error, invalid
from integrations.sandbox.connectwise.shapes import shape

if TYPE_CHECKING:
    from integrations.sandbox.connectwise.desk import Desk
    from integrations.sandbox.connectwise.seed import Seeder
    from integrations.sandbox.connectwise.store import Record

CONFIGURATION = shape(
    "configuration",
    """
    id:int~ name:text:100! type:@! status:@ company:@companies! contact:@contacts site:@sites<company
    locationId:int location:@ businessUnitId:int department:@ deviceIdentifier:text:100
    serialNumber:text:250 modelNumber:text:50 tagNumber:text:50 purchaseDate:date installationDate:date
    installedBy:@members warrantyExpirationDate:date vendorNotes:text notes:text macAddress:text:25
    lastLoginName:text:100 billFlag:bool backupSuccesses:int backupIncomplete:int backupFailed:int
    backupRestores:int lastBackupDate:date backupServerName:text:50 backupBillableSpaceGb:number
    backupProtectedDeviceList:text backupYear:int backupMonth:int ipAddress:text:50
    defaultGateway:text:50 osType:text:250 osInfo:text:250 cpuSpeed:text:100 ram:text:25
    localHardDrives:text parentConfigurationId:int vendor:@companies manufacturer:@ questions:list
    activeFlag:bool managementLink:text:1000 remoteLink:text:1000 sla:@ mobileGuid:text~
    displayVendorFlag:bool companyLocationId:int showRemoteFlag:bool showAutomateFlag:bool
    needsRenewalFlag:bool manufacturerPartNumber:text:50 customFields:list
""",
)
SUBCATEGORY = shape(
    "subCategory",
    "id:int~ name:text:50! inactiveFlag:bool integrationXref:text:50 defaultFlag:bool category:@!",
)
PRODUCT_TYPE = shape("productType", "id:int~ name:text:50! inactiveFlag:bool typeXref:text defaultFlag:bool")
UNIT = shape(
    "unitOfMeasure", "id:int~ name:text:50! inactiveFlag:bool defaultFlag:bool uomScheduleXref:text:31"
)


def finish_configuration(desk: Desk, record: Record, before: Record | None) -> Record:
    return {"activeFlag": True, "billFlag": False, **record}


def finish_product(desk: Desk, record: Record, before: Record | None) -> Record:
    """A Product ID is unique, without regard to case."""
    wanted = record["identifier"].strip().casefold()
    for other in desk.store.all("catalog"):
        if other["id"] != record["id"] and other["identifier"].strip().casefold() == wanted:
            raise _exists()
    return {"inactiveFlag": False, "price": 0.0, "cost": 0.0, "productClass": "NonInventory", **record}


def _exists() -> Exception:
    return invalid(
        "catalogItem",
        [field_error("ObjectExists", "Product ID already in use.", "catalogItem", "identifier")],
    )


def seed_tables(seeder: Seeder) -> None:
    """Rows in which the products of the seed find their subcategory, type and unit by id."""
    for name, category in (
        ("Managed Services", "Managed Services"),
        ("Hardware", "Hardware"),
        ("Backup", "Cloud Services"),
    ):
        seeder.add("subcategories", name=name, category={"id": 1, "name": category}, inactiveFlag=False)
    for name in ("Software", "Hardware", "License", "Service", "Managed Service"):
        seeder.add("productTypes", name=name, inactiveFlag=False)
    for name in ("Each", "GB", "Hour"):
        seeder.add("units", name=name, inactiveFlag=False)


def seed_devices(seeder: Seeder, company: Record, number: str) -> None:
    """A server and a workstation, known by their serial numbers."""
    for kind, name in (("Managed Server", "SRV-01"), ("Managed Workstation", "PC-07")):
        seeder.add(
            "configurations",
            name=name,
            type={"id": 21 if "Server" in kind else 22, "name": kind},
            status={"id": 1, "name": "Active"},
            company=company,
            serialNumber=f"{name}-{number}",
            activeFlag=True,
            billFlag=False,
        )
