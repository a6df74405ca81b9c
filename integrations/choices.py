"""What a PSA offers, for pickers, and how old our copy is (asked by pages; `reloading` keeps it up to date)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q

from integrations import reloading
from integrations.models import Choice, ChoiceList, Credentials, Reload
from integrations.models.connections import Kind
from integrations.reloading import FLAT, OF_A_BOARD, OF_BOARD

PLURALS: Mapping[str, str] = {
    "company": "Companies",
    "contact": "Contacts",
    "board": "Boards",
    "status": "Statuses",
    "type": "Types",
    "subtype": "Subtypes",
    "item": "Items",
    "priority": "Priorities",
    "source": "Sources",
    "category": "Ticket categories",
    "product": "Products",
    "agreement": "Agreements",
}
AUTOTASK_PLURALS: Mapping[str, str] = {
    "company": "Organizations",
    "board": "Queues",
    "type": "Issue types",
    "subtype": "Sub-issue types",
    "item": "Ticket types",
    "product": "Services",
    "agreement": "Contracts",
}
IN_ORDER = ("board", *OF_A_BOARD, *(kind for kind in FLAT if kind != "board"))


def reload(credentials: Credentials) -> Reload:
    """Read everything now, in this thread. Raises PsaError when the PSA cannot be read; what was read is kept."""
    return reloading.reload(credentials)


def plural(credentials: Credentials, kind: str) -> str:
    """“Boards”, or “Queues” where the PSA calls them so."""
    own = AUTOTASK_PLURALS if credentials.kind == Kind.AUTOTASK else {}
    return own.get(kind) or PLURALS.get(kind, kind)


# --- How old it is ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Age:
    """How old our copy of some kinds is: `read_at` is that of the oldest, None when one was never read."""

    credentials: Credentials
    read_at: datetime | None
    troubles: Sequence[str]
    reload: Reload | None

    @property
    def is_reading(self) -> bool:
        """Whether it is being read anew just now."""
        return self.reload is not None and self.reload.state in reloading.UNDER_WAY


def age_of(credentials: Credentials, *kinds: str) -> Age:
    """For the foot of a picker. Two queries; without kinds that of everything that was ever read."""
    lists = list(lists_of(credentials, kinds))
    moments = [row.read_at for row in lists]
    known = [moment for moment in moments if moment is not None]
    newest = credentials.reloads.order_by("-asked_at", "-pk").first()
    is_known = bool(known) and (len(known) == len(moments) or not kinds)
    return Age(
        credentials,
        min(known) if is_known else None,
        list(dict.fromkeys(row.trouble for row in lists if row.trouble)),
        newest,
    )


def lists_of(credentials: Credentials, kinds: Sequence[str]) -> Iterable[ChoiceList]:
    """The copied lists that hold these kinds; all without any."""
    rows: Iterable[ChoiceList] = credentials.choice_lists.all()
    if not kinds:
        return rows
    own = Q(kind__in=kinds)
    found: Iterable[ChoiceList] = credentials.choice_lists.filter(
        own | Q(kind=OF_BOARD) if set(kinds) & set(OF_A_BOARD) else own
    )
    return found


def seen_at(credentials: Credentials, *kinds: str) -> datetime | None:
    """When our copy of these kinds (all without any) was last read; None before the first reload."""
    return age_of(credentials, *kinds).read_at


@dataclass(frozen=True)
class Stock:
    """How much of a kind we hold, how old that is, and what stood in the way of reading it anew."""

    kind: str
    label: str
    count: int
    gone: int
    read_at: datetime | None
    full_at: datetime | None
    troubles: Sequence[str]
    advice: str = ""


def stock_of(credentials: Credentials) -> list[Stock]:
    """Every kind that we hold or tried to read, in the order of reading. Two queries."""
    numbers: dict[str, Mapping[str, int]] = {
        row["kind"]: {"count": row["count"], "gone": row["gone"]}
        for row in credentials.choices.order_by("kind")
        .values("kind")
        .annotate(count=Count("pk", filter=Q(vanished_at=None)), gone=Count("vanished_at"))
    }
    lists: dict[str, list[ChoiceList]] = {}
    for row in credentials.choice_lists.all():
        for kind in OF_A_BOARD if row.kind == OF_BOARD else (row.kind,):
            lists.setdefault(kind, []).append(row)
    return [
        stock(credentials, kind, numbers.get(kind, {}), lists.get(kind, []))
        for kind in IN_ORDER
        if kind in numbers or kind in lists
    ]


def stock(
    credentials: Credentials, kind: str, numbers: Mapping[str, int], lists: Sequence[ChoiceList]
) -> Stock:
    read = [row.read_at for row in lists if row.read_at]
    full = [row.full_at for row in lists if row.full_at]
    return Stock(
        kind,
        plural(credentials, kind),
        numbers.get("count", 0),
        numbers.get("gone", 0),
        min(read) if read else None,
        min(full) if full else None,
        list(dict.fromkeys(row.trouble for row in lists if row.trouble)),
        next((row.advice for row in lists if row.advice), ""),
    )


# --- For pickers ------------------------------------------------------------------------------------------------------


def companies_like(credentials: Credentials, text: str, most: int = 100) -> list[Choice]:
    """PSA companies whose name contains the text, by name."""
    rows = credentials.choices.filter(kind="company", vanished_at=None, name__icontains=text)
    return list(rows.order_by("name")[:most])


def company(credentials: Credentials, psa_id: str) -> Choice | None:
    """One PSA company, also when it has vanished."""
    return credentials.choices.filter(kind="company", psa_id=psa_id).first()


# --- What a reading did -----------------------------------------------------------------------------------------------

WORDS: Mapping[str, str] = {
    "added": "added",
    "renamed": "renamed",
    "gone": "gone",
    "back": "offered again",
    "changed": "changed otherwise",
}


@dataclass(frozen=True)
class Kinds:
    """One sort of difference: how many in all, and the first names."""

    word: str
    count: int
    by_kind: str
    names: Sequence[Mapping[str, str]]

    @property
    def unnamed(self) -> int:
        return max(0, self.count - len(self.names))


@dataclass(frozen=True)
class Told:
    """A reading as pages tell it."""

    row: Reload
    kind: str
    differences: Sequence[Kinds]
    left: str
    troubles: Sequence[Mapping[str, str]]

    @classmethod
    def of(cls, row: Reload) -> Told:
        credentials = row.credentials
        return cls(
            row,
            plural(credentials, row.kind) if row.kind else "",
            [found for what in WORDS if (found := sort_of(row, what)).count],
            listed(plural(credentials, kind) for kind in row.left),
            [{**trouble, "kind": plural(credentials, trouble["kind"])} for trouble in row.troubles],
        )

    @property
    def is_under_way(self) -> bool:
        return self.row.state in reloading.UNDER_WAY

    @property
    def is_waiting(self) -> bool:
        return self.row.state == Reload.State.WAITING

    @property
    def seconds(self) -> float | None:
        """From the first call to the last word; None while it runs."""
        began, ended = self.row.started_at, self.row.finished_at
        return (ended - began).total_seconds() if began and ended else None


def sort_of(row: Reload, what: str) -> Kinds:
    by_kind = {kind: numbers[what] for kind, numbers in row.counts.items() if numbers.get(what)}
    told = listed(f"{number} {plural(row.credentials, kind).lower()}" for kind, number in by_kind.items())
    names = [one for one in row.diff if one["what"] == what]
    labelled = [{**one, "kind": plural(row.credentials, one["kind"])} for one in names]
    return Kinds(WORDS[what], sum(by_kind.values()), told, labelled)


def listed(words: Iterable[str]) -> str:
    """“Boards, Statuses and Companies”."""
    *first, last = list(words) or [""]
    return f"{', '.join(first)} and {last}" if first else last
