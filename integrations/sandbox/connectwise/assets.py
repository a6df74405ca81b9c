"""The rules of configurations (devices) and products, and the first devices (ConnectWise REST 2026.4).

`/company/configurations` and `/procurement/catalog`; their shapes are among the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from integrations.sandbox.connectwise.answers import field_error, invalid

if TYPE_CHECKING:
    from integrations.sandbox.connectwise.desk import Desk
    from integrations.sandbox.connectwise.seed import Seeder
    from integrations.sandbox.connectwise.store import Record


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


def seed_devices(seeder: Seeder, company: Record, number: str) -> None:
    """A server and a workstation, known by their serial numbers."""
    types = {row["name"]: row["id"] for row in seeder.store.all("configurationTypes")}
    for kind, name in (("Managed Server", "SRV-01"), ("Managed Workstation", "PC-07")):
        seeder.add(
            "configurations",
            name=name,
            type=seeder.store.reference("configurationTypes", types[kind]),
            status=seeder.store.reference("configurationStatuses", 1),
            company=company,
            serialNumber=f"{name}-{number}",
            activeFlag=True,
            billFlag=False,
        )
