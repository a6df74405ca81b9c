"""What can be changed about the pretend ConnectWise itself: keys, role, switches for facts nobody is sure of."""

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from integrations.sandbox import switching
from integrations.sandbox.connectwise.matching import Comparing
from integrations.sandbox.connectwise.role import Role, full

LOGIN_COMPANY = "cirrus"
PUBLIC_KEY = "sandboxPublicKey1"
PRIVATE_KEY = "sandboxPrivateKey1"
CLIENT_ID = "5ca1ab1e-0000-4000-8000-000000000001"
API_MEMBER = "psaportal"


class BadSetting(ValueError):
    """A key that does not exist."""


@dataclass(frozen=True, slots=True)
class Switches:
    """Each default is the reading a careful client has the harder time with; sources disagree on the truth."""

    # Reaching it and signing in
    requests_per_window: int = 0
    """Calls in one window until the others get a 429; 0 for no limit (the real numbers are not published)."""
    window_seconds: int = 60
    retry_after: str = "30"
    """The Retry-After of a 429 by that limit; empty for none."""
    unknown_company: str = "null"
    """Company info of an unknown company: `null` with a 200, or `404`."""
    wrong_codebase: int = 400
    """Answer to a codebase that is not routed: 400 as text, or 404."""
    unauthorized_status: int = 401
    """Answer to wrong keys: 401, or 404 as is said of some cloud servers."""
    client_id_status: int = 401
    """Answer to a missing or malformed clientId: 400 or 401."""
    client_id_check: str = "guid"
    """`guid`, `present` or `off`."""
    unauthorized_code: str = "Unauthorized"
    """`Unauthorized`, or `ConnectWiseApi` as some servers say."""
    my_security: str = "on"
    """Whether the API member may look at its own rights and its own row: `on`, `forbidden` (403), `missing` (404)."""
    member_level: str = "Corporate (Level 1)"
    """The level of the API member, as `/system/myMembers` tells it."""
    role_name: str = "PSA Portal"
    """What the security role of the API member is called."""
    permission_first: bool = True
    """Whether a missing right is told before a missing record."""
    my_level: str = "owner"
    """What a level of My reaches: tickets whose `owner` the member is, and nothing else, with a 403 for others; what
    the member `entered`, and others are not found; or `all`.
    """
    # Reading
    large_page_size: str = "clamp"
    """pageSize over 1000: `clamp` or `reject`."""
    # Writing
    nested_patch: str = "apply"
    """PATCH of `status/id`: `apply`, or `ignore` with a 200."""
    note_without_flag: str = "reject"
    """A note with none of the three places to be shown in: `reject` or `accept`."""
    stale_type: str = "reject"
    """A ticket that moves boards with its old type: `reject` or `clear`."""
    board_default: str = "first"
    """A ticket without a board: goes to the `first` active one, or `reject`."""
    contact_default: bool = True
    """Whether a ticket without a contact takes the company's default one."""
    wrong_triple: str = "reject"
    """Type, subtype and item that are not associated: `reject` or `accept`."""
    close_needs_type: bool = False
    """Whether boards want a type before a ticket may close."""
    newlines: str = "keep"
    """Line breaks in notes: `keep`, or `space` as the developer guide says."""
    project_tickets: str = "shown"
    """Tickets that were converted to a project: `shown` among service tickets, or `hidden`, as if deleted."""
    note_moves_ticket: bool = True
    """Whether a note counts as a change of its ticket: who wrote last, and when."""
    merged_notes: str = "stay"
    """Notes of a merged ticket: `stay`, or `move` to the one it went into."""
    billed_quantity: str = "difference"
    """What an addition bills: the `difference` of quantity and included units, or all of the `quantity`."""
    midnight: str = "utc"
    """Date-only values that the server makes: midnight of `utc`, or of the `server`'s zone (04:00 UTC)."""
    invoiced: str = "protect"
    """What was invoiced or posted: `protect` it from changes and deletion, or leave it `free`."""
    unique_reports: bool = True
    """One management report for each solution, managed id and device type of a company."""
    case_sensitive: bool = False
    """Whether conditions tell upper from lower case."""
    escapes: bool = False
    """Whether a backslash escapes inside strings of conditions."""
    underscore_is_wildcard: bool = False
    """Whether `_` stands for one character in `like`."""
    longest_url: int = 10_000
    """Longer targets get `long_url_status`."""
    long_url_status: int = 414
    codebase: str = "v2026_4"
    """The advertised codebase; the one before is not routed any more."""
    page_links: bool = True
    """Whether lists send a Link header at all."""
    # Callbacks
    callback_key: int = 1
    """Which key signs callbacks; another number is another key."""
    callback_key_address: int = 1
    """At which address that key lies; whoever changes only the key leaves another key at the same address."""
    callback_key_url: str = ""
    """Where callbacks say that their key lies; empty: where it really does."""
    callback_key_twice: bool = False
    """Whether the key's JSON comes as a text that holds JSON."""
    callback_attempts: int = 3
    callback_retry_seconds: float = 2.0
    """The first pause; the next one is twice as long."""
    callback_timeout_seconds: float = 5.0
    callback_days_until_off: int = 3
    """So many days of nothing but failures switch a callback off."""

    @property
    def comparing(self) -> Comparing:
        return Comparing(self.case_sensitive, self.escapes, self.underscore_is_wildcard)


CHOICES: dict[str, tuple[Any, ...]] = {
    "unknown_company": ("null", "404"),
    "wrong_codebase": (400, 404),
    "unauthorized_status": (401, 404),
    "my_security": ("on", "forbidden", "missing"),
    "my_level": ("owner", "entered", "all"),
    "board_default": ("first", "reject"),
    "wrong_triple": ("reject", "accept"),
    "newlines": ("keep", "space"),
    "project_tickets": ("shown", "hidden"),
    "merged_notes": ("stay", "move"),
    "billed_quantity": ("difference", "quantity"),
    "midnight": ("utc", "server"),
    "invoiced": ("protect", "free"),
    "client_id_status": (400, 401),
    "client_id_check": ("guid", "present", "off"),
    "unauthorized_code": ("Unauthorized", "ConnectWiseApi"),
    "large_page_size": ("clamp", "reject"),
    "nested_patch": ("apply", "ignore"),
    "note_without_flag": ("reject", "accept"),
    "stale_type": ("reject", "clear"),
}


@dataclass(frozen=True, slots=True)
class Settings:
    company: str = LOGIN_COMPANY
    public_key: str = PUBLIC_KEY
    private_key: str = PRIVATE_KEY
    keys_made: int = 1
    role: Role = field(default_factory=full)
    switches: Switches = field(default_factory=Switches)

    @property
    def authorization(self) -> str:
        pair = f"{self.company}+{self.public_key}:{self.private_key}"
        return "Basic " + base64.b64encode(pair.encode()).decode()

    def credentials(self) -> dict[str, str]:
        keys = {"company": self.company, "public_key": self.public_key, "private_key": self.private_key}
        return {**keys, "client_id": CLIENT_ID}

    def with_keys(self, given: Mapping[str, Any]) -> "Settings":
        """New keys: the ones given, or made up ones that were not there before."""
        made = self.keys_made + 1
        public, private = f"sandboxPublicKey{made}", f"sandboxPrivateKey{made}"
        if unknown := set(given) - {"company", "public_key", "private_key"}:
            raise BadSetting(f"unknown: {', '.join(sorted(unknown))}")
        return replace(
            self,
            company=str(given.get("company", self.company)),
            public_key=str(given.get("public_key", public)),
            private_key=str(given.get("private_key", private)),
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
