"""What can be changed about the pretend Autotask itself: keys, role, switches for facts nobody is sure of."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from integrations.sandbox import switching
from integrations.sandbox.autotask.role import Role, full

USER_NAME = "psaportal@cirrus-managed-it.example"
FIRST_KEY = "sandboxSecret1"
INTEGRATION_CODE = "SANDBOX0000000000000000CODE"
API_USER = 29682901
API_VENDOR = 42


class BadSetting(ValueError):
    """A key that does not exist."""


@dataclass(frozen=True, slots=True)
class Switches:
    """Each default is the reading a careful client has the harder time with; sources disagree on the truth."""

    # Limits
    requests_per_window: int = 10_000
    """Calls of everybody in one window until all are refused; 0 for no limit."""
    window_seconds: int = 3600
    slow_from_percent: int = 50
    """From this share of the limit every call is late by `slow_seconds`, from `slower_from_percent` by the other."""
    slow_seconds: float = 0.5
    slower_from_percent: int = 75
    slower_seconds: float = 1.0
    over_limit_status: int = 429
    """Answer to a call over the hourly limit: 429, 500 or 503."""
    threads_per_entity: int = 3
    """Calls at once for one integration code and entity; 0 for no limit."""
    thread_limit_status: int = 429
    """Answer to one call too many at once: 429 or 500."""
    retry_after: str = ""
    """A Retry-After header for refusals by a limit; empty for none."""
    answer_seconds: float = 0.0
    """How long each call takes while it counts as one of the threads."""
    # Who may do what
    permission_status: int = 500
    """Answer to a call without the right: 500 or 403."""
    access_follows_user: bool = True
    """Whether entityInformation tells the caller's own rights, or `All` for everyone."""
    impersonation: str = "allowed"
    """ImpersonationResourceId on a write: `allowed` or `refused`."""
    zone_path: str = ""
    """The zone of the database as a first part of the path, `zone7`; calls to any other zone get a 401."""
    modules_off: str = ""
    """Areas of the role whose module is switched off and which are therefore read-only, separated by commas."""
    # Reading
    missing_item: str = "null"
    """GET of an id that is not there: `null` with a 200, or `404`."""
    dates: str = "bare"
    """Date-times without a mark of their zone (`bare`), or with a Z (`zulu`); both are UTC."""
    unknown_operator: str = "ignore"
    """A condition with an operator that does not exist: `ignore` it (every row matches) or `reject`."""
    in_counts_as_or: bool = True
    """Whether each value of an `in` list counts as one of the 500 OR conditions."""
    case_sensitive: bool = False
    """Whether texts of a query tell upper from lower case."""
    empty_last_page: bool = False
    """Whether a last page that is full names a next one, which is then empty."""
    accepts_gzip: bool = False
    """Whether request bodies may be compressed."""
    protected_udfs_visible: bool = False
    """Whether the API user was granted the protected user-defined fields."""
    # Writing
    inactive_values: str = "reject"
    """An inactive picklist value in a write: `reject` or `accept`."""
    inactive_references: str = "reject"
    """A reference to something inactive: `reject` or `accept`."""
    category_defaults: bool = True
    """Whether the API fills in what the ticket category says."""
    queue_or_resource: str = "required"
    """A ticket with neither queue nor resource: `required` (refused) or `optional`."""
    work_type_required: bool = False
    resolution_required: bool = False
    """Whether a ticket needs a resolution before it may be Complete."""
    note_titles_required: bool = False
    default_contract: bool = False
    """Whether a ticket without a contract takes its company's default one."""
    # Contracts
    inactive_contract: str = "reject"
    """An adjustment on an inactive contract: `reject` or `accept`."""
    posted_period: str = "reject"
    """An adjustment that would change a posted period: `reject` or `accept`."""
    same_day_adjustment: str = "reject_within_period"
    """A second adjustment of a line for one day: `reject`, `accept`, or `reject_within_period`, which lets the first
    day of a period pass."""
    zero_units: str = "accept"
    """An adjustment down to nothing: `accept` or `reject`."""
    units_of_new_service: int = 1
    """Units of a contract service that was created as such, and not by an adjustment."""
    periods_ahead: int = 2
    """How many billing periods after the current one have unit rows already."""
    # Webhooks
    webhook_urls: str = "any"
    """Which webhook URLs are taken: `any` or `https`."""
    most_webhooks: int = 10
    webhook_retry_seconds: float = 30.0
    webhook_attempts: int = 5
    webhook_timeout_seconds: float = 10.0
    webhook_failures_until_off: int = 25
    """So many failed events in a row switch a webhook off."""
    webhook_entity_names: str = "old"
    """EntityType of companies and configuration items in payloads: `old` (Account, InstalledProduct) or `new`."""


CHOICES: dict[str, tuple[Any, ...]] = {
    "over_limit_status": (429, 500, 503),
    "thread_limit_status": (429, 500),
    "permission_status": (500, 403),
    "impersonation": ("allowed", "refused"),
    "missing_item": ("null", "404"),
    "dates": ("bare", "zulu"),
    "unknown_operator": ("ignore", "reject"),
    "inactive_values": ("reject", "accept"),
    "inactive_references": ("reject", "accept"),
    "queue_or_resource": ("required", "optional"),
    "inactive_contract": ("reject", "accept"),
    "posted_period": ("reject", "accept"),
    "same_day_adjustment": ("reject_within_period", "reject", "accept"),
    "zero_units": ("accept", "reject"),
    "webhook_urls": ("any", "https"),
    "webhook_entity_names": ("old", "new"),
}


@dataclass(frozen=True, slots=True)
class Settings:
    user_name: str = USER_NAME
    secret: str = FIRST_KEY
    integration_code: str = INTEGRATION_CODE
    keys_made: int = 1
    role: Role = field(default_factory=full)
    switches: Switches = field(default_factory=Switches)

    def credentials(self) -> dict[str, str]:
        return {
            "user_name": self.user_name,
            "secret": self.secret,
            "integration_code": self.integration_code,
        }

    def with_keys(self, given: Mapping[str, Any]) -> "Settings":
        """The keys given, or a made up secret that was not there before."""
        if unknown := set(given) - {"user_name", "secret", "integration_code"}:
            raise BadSetting(f"unknown: {', '.join(sorted(unknown))}")
        made = self.keys_made + 1
        return replace(
            self,
            user_name=str(given.get("user_name", self.user_name)),
            secret=str(given.get("secret", f"sandboxSecret{made}")),
            integration_code=str(given.get("integration_code", self.integration_code)),
            keys_made=made,
        )

    def with_switches(self, given: Mapping[str, Any]) -> "Settings":
        return replace(self, switches=switching.changed(self.switches, given, CHOICES))

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def settings_from(data: Mapping[str, Any]) -> Settings:
    values = dict(data)
    switches = switching.restored(Switches, values.pop("switches", {}))
    return Settings(**values, switches=switches)
