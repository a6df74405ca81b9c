"""How a partner's PSA is reached: credentials, which of them apply, and the open connection (asked by every door).

Secrets go in and never come out: they are set here, read here to sign in, and shown nowhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction

from integrations import budgets, lanes
from integrations.models import Credentials, Lane
from integrations.models.connections import Kind
from integrations.psa import kinds, site
from integrations.psa.addresses import AddressPolicy
from integrations.psa.autotask.limits import Turns
from integrations.psa.errors import Misconfigured, PsaError
from integrations.psa.port import Exchange, Importance, Psa, SignIn
from integrations.psa.transport import SharedConnection
from portal import background, clock
from portal.encryption import DecryptionFailed, fingerprint
from portal.models import Client, Organization, User


@dataclass(frozen=True, kw_only=True)
class Entered:
    """What a person typed on the PSA Credentials page. An empty `secret` keeps the stored one."""

    kind: str
    site_url: str
    login_company: str
    public_key: str
    secret: str = ""


def policy() -> AddressPolicy:
    """Which addresses this deployment's operator lets PSAs have."""
    return AddressPolicy(
        allow_http=settings.PSA_ALLOW_HTTP,
        allowed_networks=settings.PSA_ALLOWED_NETWORKS,
        allowed_ports=settings.PSA_ALLOWED_PORTS,
    )


def save_credentials(
    level: Organization | Client, entered: Entered, *, by: User | None, current: Credentials | None = None
) -> Credentials:
    """Store credentials at a level, normalised. Work that waited for them is due at once.

    Raises `Misconfigured` (field, sentence) for a site or key that cannot be right, and when the site changes without
    the secret being typed again: otherwise whoever may edit settings could send the stored secret to a host of his.
    """
    row = current or Credentials(partner_id=level.partner_id, **level_of(level))
    if entered.kind == Kind.NONE:
        return store_without_psa(row)
    normal_site = kinds.KINDS[entered.kind].normalise_site(entered.site_url, policy=policy())
    new_secret = site.clean_key(entered.secret, field="secret") if entered.secret else ""
    if not new_secret and row.secret is None:
        raise Misconfigured("The private key is missing.", field="secret", advice="Paste the private key.")
    if not new_secret and row.site_url and normal_site != row.site_url:
        raise Misconfigured(
            "The site changed, so the private key must be typed again.",
            field="secret",
            advice="Paste the private key of the new site.",
        )
    row.kind, row.site_url = entered.kind, normal_site
    row.login_company = login_company_of(entered)
    row.public_key = site.clean_key(entered.public_key, field="public_key")
    if new_secret:
        set_secret(row, new_secret, by=by)
    return store(row)


def login_company_of(entered: Entered) -> str:
    """Needed by ConnectWise; at Autotask it is a partner's own tracking identifier, in place of the deployment's."""
    if entered.kind == Kind.AUTOTASK and not entered.login_company.strip():
        return ""
    return site.clean_key(entered.login_company, field="login_company")


def level_of(level: Organization | Client) -> dict[str, Organization | Client]:
    return {"client": level} if isinstance(level, Client) else {"organization": level}


def set_secret(row: Any, secret: str, *, by: User | None) -> None:
    """Wrap the secret with the row's id, so that it is worth nothing in another row."""
    row.secret = {"id": str(row.pk), "secret": secret}
    row.secret_fingerprint = fingerprint(secret)
    row.secret_hint = secret[-4:] if len(secret) >= 12 else ""
    row.secret_set_at = clock.now()
    row.secret_set_by = by.email if by else ""


def store(row: Credentials) -> Credentials:
    with transaction.atomic():
        row.version += 0 if row._state.adding else 1
        row.updated_at = clock.now()
        row.test_passed = None
        row.save()
        lane, _ = Lane.objects.get_or_create(credentials=row, defaults={"partner_id": row.partner_id})
        lanes.resume(lane)
        background.enqueue("integrations.jobs.look_over")
    return row


def store_without_psa(row: Any) -> Credentials:
    """ "No PSA" at this level: nothing is inherited from above, nothing is sent."""
    row.kind, row.site_url, row.login_company, row.public_key = Kind.NONE, "", "", ""
    row.secret = None
    row.secret_fingerprint = row.secret_hint = ""
    row.version += 1
    with transaction.atomic():
        row.save()
        background.enqueue("integrations.jobs.look_over")
    stored: Credentials = row
    return stored


def others_with_key(row: Credentials) -> list[Credentials]:
    """Credentials elsewhere at the same partner that sign in with the same key: one revoked key would stop them all."""
    rows = Credentials.objects.filter(partner_id=row.partner_id, kind=row.kind, public_key=row.public_key)
    rows = rows.exclude(pk=row.pk).exclude(public_key="").defer("secret")
    return list(rows.select_related("organization", "client"))


def sign_in_of(row: Credentials) -> SignIn:
    """Raises DecryptionFailed when the secret belongs to another row, or cannot be read."""
    wrapped: Any = row.secret
    if not wrapped or wrapped["id"] != str(row.pk):
        raise DecryptionFailed("The stored secret does not belong to these credentials.")
    return SignIn(
        site=row.site_url,
        login_company=row.login_company,
        public_key=row.public_key,
        secret=wrapped["secret"],
        client_id=settings.PSA_CLIENT_IDS.get(row.kind, ""),
    )


class OpenConnection:
    """A connection in use: one shared session, cheap adapters for threads. Follows changed credentials."""

    def __init__(
        self, row: Credentials, learned: Sequence[Sequence[str]] = (), turns: Turns | None = None
    ) -> None:
        """`turns` bounds calls at once where that is not for the lane's width alone to decide."""
        self.version = 0
        self._turns = turns
        self.budget: budgets.AccountBudget | None = None
        self.follow(row)
        if self.problem is None:
            self.shared.facts.update({tuple(key): value for *key, value in learned})

    @property
    def learned(self) -> list[list[str]]:
        """What was found out about the PSA (its codebase), to be kept for the next process."""
        return [] if self.problem else [[*key, value] for key, value in dict(self.shared.facts).items()]

    def follow(self, row: Credentials) -> None:
        """Sign in anew when the credentials changed since."""
        if row.version == self.version:
            return
        if self.version:
            self.close()
        self.version, self.kind = row.version, row.kind
        self.problem: Exception | None = None
        try:
            self.sign_in = sign_in_of(row)
            self.budget = budgets.budget_of(row)
            self.shared = SharedConnection(
                policy(),
                pool_size=settings.LANE_CONCURRENCY_CEILING,
                budget=self.budget,
                turns=self._turns or (self.budget.turns if self.budget else None),
            )
        except (DecryptionFailed, PsaError) as error:
            self.problem = error

    @contextmanager
    def psa(
        self,
        *,
        before_write: Callable[[], None] | None = None,
        on_call: Callable[[Exchange], None] | None = None,
        importance: Importance = "note",
        reads_within: float | None = None,
    ) -> Iterator[Psa]:
        """An adapter for one attempt in one thread."""
        if isinstance(self.problem, DecryptionFailed):
            raise Misconfigured(str(self.problem), field="secret", advice="Type the private key again.")
        if self.problem is not None:
            raise self.problem
        yield kinds.connect(
            self.kind,
            self.sign_in,
            policy=self.shared.policy,
            shared=self.shared,
            before_write=before_write,
            on_call=on_call,
            deadline=settings.PSA_DEADLINE,
            importance=importance,
            reads_within=reads_within,
        )

    def stock_up(self) -> None:
        """Set a few calls aside at PSAs that count them, before threads without a database ask."""
        if self.problem is None and self.budget is not None:
            self.budget.stock_up()

    def close(self) -> None:
        if self.problem is None:
            self.shared.close()


@contextmanager
def psa_for(
    row: Credentials,
    *,
    on_call: Callable[[Exchange], None] | None = None,
    reads_within: float | None = None,
) -> Iterator[Psa]:
    """A connection of its own for a page or a job, closed afterwards. One at a time where calls at once are bounded.

    `on_call` hears of each call. `reads_within` bounds all reads together, in seconds, while somebody waits.
    """
    budget = budgets.budget_of(row)
    patience = Patience(min(settings.PSA_DEADLINE, reads_within or settings.PSA_DEADLINE))
    with budgets.seat(budget, wait=patience.pause):
        connection = OpenConnection(row, row.lane.facts, Turns(budgets.TURNS_OF_A_PAGE) if budget else None)
        try:
            with connection.psa(on_call=on_call, reads_within=reads_within) as psa:
                yield psa
        finally:
            connection.close()


@dataclass
class Patience:
    """Waits in small steps, for so many seconds in all."""

    seconds: float
    step: float = 0.25

    def pause(self) -> bool:
        if self.seconds <= 0:
            return False
        self.seconds -= self.step
        time.sleep(self.step)
        return True
