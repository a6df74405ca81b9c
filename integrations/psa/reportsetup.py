"""What has to be set up in a PSA once: for its management report, and its own cross-references (asked by billing)."""

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

    @property
    def all_words(self) -> tuple[str, str, str, str]:
        return self.vendor_type, self.vendor_level, self.configuration_type, self.agreement_type

    @property
    def words(self) -> str:
        """What tells it from the others, as people read it: no two that differ read the same."""
        read = [f"“{word}”" if "/" in word else word or "–" for word in self.all_words]
        while read and read[-1] == "–":
            read.pop()
        return " / ".join(read)


@dataclass(frozen=True, kw_only=True)
class WantedSetup:
    """`solution` is the name of the management solution in the PSA. No two references have the same words."""

    solution: str
    references: tuple[WantedReference, ...] = field(default_factory=tuple)
