"""What has to be set up in a PSA once, so that statistics reach its management report (asked by billing)."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class WantedReference:
    """One row of the vendor's cross-references: what a service is called there, and the product it stands for."""

    service: str
    vendor_type: str
    vendor_level: str
    product_id: str
    product_name: str
    agreement_type: str = ""
    configuration_type: str = ""


@dataclass(frozen=True, kw_only=True)
class WantedSetup:
    """`solution` is the name of the management solution in the PSA."""

    solution: str
    references: tuple[WantedReference, ...] = field(default_factory=tuple)
