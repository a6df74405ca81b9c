"""ConnectWise's own cross-references as a person in ConnectWise makes and sees them (asked by tests)."""

from __future__ import annotations

from typing import Any

from integrations.sandbox import Sandbox
from integrations.sandbox.connectwise.seed import Seeder

Line = dict[str, Any]


class DevicesTable:
    """A managed devices integration for the solution “EFS Backup”, and the names its lines refer to."""

    def __init__(self, sandbox: Sandbox, *, solution: str = "EFS Backup") -> None:
        self.sandbox = sandbox
        self.store = sandbox.dialect.store  # type: ignore[attr-defined]
        flags = {"matchOnSerialNumberFlag": True, "disableNewCrossReferencesFlag": True}
        self.id = self._add(
            "devicesIntegrations",
            name="EFS",
            solution=solution,
            loginBy="Global",
            defaultBillingLevel="Detail",
            **flags,
        )
        self.configuration_types = {
            name: self._add("configurationTypes", name=name, inactiveFlag=False)
            for name in ("Backup Stats", "Workstations and Servers")
        }
        self.agreement_types = {row["name"]: row["id"] for row in self.store.all("agreementTypes")}

    def add(
        self,
        kind: str = "Storage",
        level: str = "Basic",
        product: int = 301,
        *,
        configuration: str = "Backup Stats",
        agreement: str = "",
        **more: Any,
    ) -> int:
        """A person's line."""
        refer = self.store.reference
        values: Line = {
            "managedDevicesIntegration": refer("devicesIntegrations", self.id),
            "vendorType": kind,
            "vendorLevel": level,
            "product": refer("catalog", product),
            "inactiveFlag": False,
            **more,
        }
        if configuration:
            found = self.configuration_types[configuration]
            values["configurationType"] = refer("configurationTypes", found)
        if agreement:
            values["agreementType"] = refer("agreementTypes", self.agreement_types[agreement])
        return self._add("crossReferences", **values)

    def change(self, line: int, **fields: Any) -> None:
        with self.store.lock:
            self.store.put("crossReferences", {**self.store.get("crossReferences", line), **fields})

    def lines(self) -> list[tuple[str, str, int, str, str]]:
        """Type, Level, product's id, configuration type, agreement type, in the order of their ids."""
        rows = sorted(self.store.under("crossReferences", self.id), key=lambda row: row["id"])
        return [
            (
                row.get("vendorType", ""),
                row.get("vendorLevel", ""),
                row["product"]["id"],
                (row.get("configurationType") or {}).get("name", ""),
                (row.get("agreementType") or {}).get("name", ""),
            )
            for row in rows
        ]

    def writes(self) -> list[str]:
        """Methods of the writes that reached the table, in order."""
        return [
            row["method"]
            for row in self.sandbox.control.requests()
            if row["method"] != "GET" and "crossreferences" in row["path"].lower()
        ]

    def _add(self, table: str, **values: Any) -> int:
        with self.store.lock:
            return int(Seeder(self.store).add(table, **values)["id"])
