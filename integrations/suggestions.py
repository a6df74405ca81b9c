"""Which PSA company is an unmapped client probably (asked by Company Mapping)? Suggestions are never applied by
themselves.

A suggestion has a score of 0 to 100 and one plain reason. Whoever accepts many at once is only offered the clear ones:
no other company fits the client nearly as well, and no other client fits the company.
"""

from __future__ import annotations

import re
import unicodedata
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from rapidfuzz import fuzz

from integrations import companies, effective
from integrations.companies import Wish
from integrations.models import Choice, CompanyLink, CompanySuggestion, Credentials
from integrations.models.connections import Origin
from portal import clock, database
from portal.models import Account, Client

LEAST = 70
"""What fits less is not shown."""
CLEAR_FROM = 80
LEAD = 10
"""A second company that is closer than this makes a suggestion unclear."""
BULK_FROM = 90
"""What is offered when somebody accepts all above a score."""

LEGAL_FORMS_LISTED = (
    "inc incorporated llc llp lp ltd limited corp corporation co company plc pllc pc pty gmbh ggmbh ag kg kgaa ug ohg"
    " gbr mbh ev eg sa sarl sas sl srl spa bv nv oy oyj ab as aps kft doo sro"
)
LEGAL_FORMS = frozenset(LEGAL_FORMS_LISTED.split())
FILLERS = frozenset({"the", "and", "und", "et", "y", "of"})
PUBLIC_MAIL_LISTED = (
    "gmail.com googlemail.com outlook.com hotmail.com live.com yahoo.com icloud.com me.com aol.com gmx.de gmx.net"
    " web.de t-online.de proton.me protonmail.com msn.com"
)
PUBLIC_MAIL = frozenset(PUBLIC_MAIL_LISTED.split())
MOST_SHARING_A_WORD = 200
"""A word that more companies have ("dental", "group") tells nothing about which one it is."""
MOST_COMPARED = 40


# --- Names ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Name:
    """A name as written, as bare words, and as bare words without legal form."""

    text: str
    words: tuple[str, ...]
    core: tuple[str, ...]
    legal: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Name:
        words = words_of(text)
        end = len(words)
        while end > 1 and (words[end - 1] in LEGAL_FORMS or words[end - 1] in FILLERS):
            end -= 1
        core = words[1:end] if words[0:1] == ("the",) and end > 1 else words[:end]
        return cls(text.strip(), words, core, tuple(word for word in words[end:] if word in LEGAL_FORMS))

    @property
    def key(self) -> str:
        """Equal for names that differ in nothing but case, accents (ü, u, ue), punctuation, spaces and legal form."""
        key = "".join(word for word in self.core if word not in FILLERS) or "".join(self.core)
        return re.sub("([aou])e", r"\1", key)


def words_of(text: str) -> tuple[str, ...]:
    """Lower case, without accents; “S.A.” is one word, “Müller & Söhne” are “muller”, “and”, “sohne”."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    plain = re.sub(r"['’`]", "", re.sub(r"(?<=\b\w)\.", "", plain))
    return tuple(re.findall(r"\w+", re.sub(r"[&+]", " and ", plain)))


def domain_of(address: str) -> str:
    """The bare domain of a website or mail address; empty for none, and for those that everybody shares."""
    text = address.strip().lower()
    if "@" in text:
        host = text.rpartition("@")[2]
    else:
        try:
            host = urlsplit(text if "//" in text else f"//{text}").hostname or ""
        except ValueError:
            return ""
    host = host.removeprefix("www.").rstrip(".")
    return "" if host in PUBLIC_MAIL or "." not in host else host


# --- Scoring ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Person:
    """A client to find a company for. `ids` are what a PSA may know it by, `domains` those of its mailboxes."""

    key: uuid.UUID
    name: str
    ids: tuple[str, ...] = ()
    domains: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Company:
    """A PSA company that may be offered."""

    psa_id: str
    name: str
    identifier: str = ""
    domain: str = ""


@dataclass(frozen=True)
class Match:
    company: Company
    score: int
    reason: str


@dataclass(frozen=True)
class Suggested:
    """The best match of one client; `rival` names who else fits when it is not clear."""

    client: Person
    match: Match
    is_clear: bool
    rival: str


def suggest(clients: Sequence[Person], offered: Sequence[Company]) -> list[Suggested]:
    """The best company for each client that has one. 5,000 clients and 5,000 companies take about a second."""
    shelf = Shelf(offered)
    best: list[tuple[Person, Match, Match | None]] = []
    for client in clients:
        matches = shelf.matches_of(client)
        if matches and matches[0].score >= LEAST:
            best.append((client, matches[0], matches[1] if len(matches) > 1 else None))
    suitors: dict[str, list[tuple[Person, int]]] = defaultdict(list)
    for client, match, _ in best:
        suitors[match.company.psa_id].append((client, match.score))
    return [judged(client, match, second, suitors[match.company.psa_id]) for client, match, second in best]


def judged(
    client: Person, match: Match, second: Match | None, suitors: Sequence[tuple[Person, int]]
) -> Suggested:
    close = match.score - LEAD
    others = [other.name for other, score in suitors if score > close and other.key != client.key]
    rival = ""
    if second is not None and second.score > close:
        rival = f"“{second.company.name}” ({second.company.psa_id}) fits nearly as well"
    elif others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        rival = f"it also fits the client “{others[0]}”{more}"
    return Suggested(client, match, match.score >= CLEAR_FROM and not rival, rival)


@dataclass
class Shelf:
    """All offered companies, arranged so that one client is compared with few of them."""

    offered: Sequence[Company]
    names: list[Name] = field(init=False)

    def __post_init__(self) -> None:
        self.names = [Name.of(company.name) for company in self.offered]
        self.by_identifier = self.arranged(lambda at: [self.offered[at].identifier.strip().casefold()])
        self.by_domain = self.arranged(lambda at: [self.offered[at].domain])
        self.by_key = self.arranged(lambda at: [self.names[at].key])
        self.by_word = self.arranged(lambda at: landmarks(self.names[at]))

    def arranged(self, keys_of: Callable[[int], Iterable[str]]) -> dict[str, list[int]]:
        found: dict[str, list[int]] = defaultdict(list)
        for at in range(len(self.offered)):
            for key in keys_of(at):
                if key:
                    found[key].append(at)
        return found

    def matches_of(self, client: Person) -> list[Match]:
        """The best match and its nearest rivals, best first."""
        name = Name.of(client.name)
        found: dict[int, tuple[int, str]] = {}

        def note(at: int, score: int, reason: str) -> None:
            if score > found.get(at, (0, ""))[0]:
                found[at] = (score, reason)

        for key in client.ids:
            for at in self.by_identifier.get(key.casefold(), ()):
                note(at, 100, f"same external id ({self.offered[at].identifier})")
        for at in self.by_key.get(name.key, ()):
            note(at, *same_name(name, self.names[at]))
        for domain in client.domains:
            for at in self.by_domain.get(domain, ()):
                note(at, 95, f"same web domain ({domain})")
        if not found:
            for at in self.neighbours(name):
                note(at, *likeness(name, self.names[at]))
        ranked = sorted(found.items(), key=lambda item: (-item[1][0], self.offered[item[0]].name))
        return [Match(self.offered[at], score, reason) for at, (score, reason) in ranked[:3]]

    def neighbours(self, name: Name) -> list[int]:
        """Those that share telling words, or their beginnings, with a name; the most telling first."""
        shared: Counter[int] = Counter()
        for mark in landmarks(name):
            places = self.by_word.get(mark, ())
            if len(places) <= MOST_SHARING_A_WORD:
                for at in places:
                    shared[at] += 1
        return [at for at, _ in shared.most_common(MOST_COMPARED)]


def landmarks(name: Name) -> set[str]:
    """What a name is found again by: its words, and their first letters, so that a slip at the end does no harm."""
    words = [word for word in name.core if word not in FILLERS]
    return {*words, *(f"{word[:4]}…" for word in words if len(word) >= 4)}


def same_name(client: Name, company: Name) -> tuple[int, str]:
    """Their keys are equal; what differs?"""
    if client.text == company.text:
        return 100, "same name"
    if client.words == company.words:
        return 99, "same name but for case and punctuation"
    forms = [legal_form(name) for name in (client, company) if name.legal]
    if client.legal == company.legal or not forms:
        return 97, "same name but for accents, spaces and small words"
    if len(forms) == 1:
        return 96, f"same name but for “{forms[0]}”"
    return 90, f"same name, but one is “{forms[0]}” and the other “{forms[1]}”"


def legal_form(name: Name) -> str:
    """As it stands in the name: “Inc.”, not “inc”."""
    written = name.text.replace(",", " ").split()
    for start in range(len(written)):
        if tuple(word for word in words_of(" ".join(written[start:])) if word not in FILLERS) == name.legal:
            return " ".join(word for word in written[start:] if words_of(word)[:1] != ("and",))
    return " ".join(name.legal)


def likeness(client: Name, company: Name) -> tuple[int, str]:
    """How alike two names are that are not the same, and in which way."""
    one, other = " ".join(client.core), " ".join(company.core)
    mine, theirs = set(client.core) - FILLERS, set(company.core) - FILLERS
    if mine == theirs:
        return 94, "same words in another order"
    spelling = fuzz.ratio(one, other)
    if re.findall(r"\d+", one) != re.findall(r"\d+", other):
        return min(LEAST + 5, round(spelling * 0.9)), "alike, but with another number"
    if spelling >= 85:
        return round(spelling * 0.94), "spelled almost the same"
    if mine < theirs or theirs < mine:
        shorter = min(mine, theirs, key=len)
        weight = sum(map(len, shorter)) / sum(map(len, mine | theirs))
        return round(70 + 15 * weight), "one name is part of the other"
    shared = len(mine & theirs)
    alike = round(max(spelling, fuzz.token_sort_ratio(one, other)) * 0.9)
    return alike, f"{shared} of {len(mine | theirs)} words the same" if shared else "spelled alike"


# --- Kept for the pages ----------------------------------------------------------------------------------------------


def refresh(credentials: Credentials) -> int:
    """Look anew for companies for all unmapped clients of a connection; returns how many have a suggestion."""
    people = unmapped_people(credentials)
    found = suggest(people, free_companies(credentials)) if people else []
    now = clock.now()
    rows = [
        CompanySuggestion(
            partner_id=credentials.partner_id,
            client_id=one.client.key,
            credentials=credentials,
            client_name=one.client.name,
            psa_company_id=one.match.company.psa_id,
            psa_company_name=one.match.company.name,
            score=one.match.score,
            reason=one.match.reason[:200],
            is_clear=one.is_clear,
            rival=one.rival[:300],
            made_at=now,
        )
        for one in found
    ]
    with transaction.atomic():
        Credentials.objects.select_for_update().only("pk").get(pk=credentials.pk)  # two at once would mix
        CompanySuggestion.objects.filter(credentials=credentials).delete()
        database.insert_new(rows)
    return len(rows)


def unmapped_people(credentials: Credentials) -> list[Person]:
    links = CompanyLink.objects.filter(client=OuterRef("pk"), credentials=credentials)
    clients = effective.clients_of(credentials).filter(~Exists(links), is_active=True).order_by("pk")
    rows = list(clients.only("pk", "name", "number"))
    has_websites = Choice.objects.filter(
        credentials=credentials, kind="company", vanished_at=None, data__has_key="website"
    ).exists()
    domains = domains_of(clients) if has_websites else {}
    return [
        Person(
            client.pk,
            client.name,
            (str(client.number), client.managed_id),
            frozenset(domains.get(client.pk, ())),
        )
        for client in rows
    ]


def domains_of(clients: QuerySet[Any]) -> Mapping[uuid.UUID, set[str]]:
    """The mail domains of the clients' accounts (mailboxes)."""
    found: dict[uuid.UUID, set[str]] = defaultdict(set)
    mailboxes = Account.objects.filter(client__in=clients.order_by().values("pk"), key__contains="@")
    for client, key in mailboxes.values_list("client_id", "key").iterator():
        if domain := domain_of(key):
            found[client].add(domain)
    return found


def free_companies(credentials: Credentials) -> list[Company]:
    """What the PSA offers and nobody is mapped to yet."""
    links = CompanyLink.objects.filter(credentials=credentials, psa_company_id=OuterRef("psa_id"))
    rows = Choice.objects.filter(~Exists(links), credentials=credentials, kind="company", vanished_at=None)
    return [
        Company(psa_id, name, str(data.get("identifier") or ""), domain_of(str(data.get("website") or "")))
        for psa_id, name, data in rows.order_by("name").values_list("psa_id", "name", "data")
        if companies.flag_of(data) is None
    ]


def standing(credentials: Credentials) -> QuerySet[Any]:
    """Suggestions that still hold: names are as they were, the client is unmapped, the company is free and there."""
    links = CompanyLink.objects.filter(credentials=credentials)
    company = Choice.objects.filter(
        credentials=credentials,
        kind="company",
        within="",
        psa_id=OuterRef("psa_company_id"),
        name=OuterRef("psa_company_name"),
        vanished_at=None,
    )
    return CompanySuggestion.objects.filter(
        Exists(company),
        Exists(Client.objects.filter(pk=OuterRef("client"), name=OuterRef("client_name"), is_active=True)),
        ~Exists(links.filter(client=OuterRef("client"))),
        ~Exists(links.filter(psa_company_id=OuterRef("psa_company_id"))),
        credentials=credentials,
    )


def clear_ones(credentials: Credentials, *, least: int) -> QuerySet[Any]:
    """What may be accepted in bulk, the surest first."""
    rows = standing(credentials).filter(is_clear=True, score__gte=least).select_related("client")
    return rows.order_by("-score", "client_name", "pk")


def made_at(credentials: Credentials) -> datetime | None:
    """When companies were last looked for; None when never, or when no unmapped client resembles one."""
    rows = CompanySuggestion.objects.filter(credentials=credentials)
    return rows.order_by("-made_at").values_list("made_at", flat=True).first()


# --- Accepting --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Accepted:
    """What became of a list that somebody confirmed; `left` are clients for whom it no longer held."""

    mapped: int
    left: int


def accept(credentials: Credentials, pairs: Mapping[uuid.UUID, str], *, by: str) -> Accepted:
    """Map each client to the company that was shown beside it, where that suggestion still holds."""
    with transaction.atomic():
        wishes = []
        for some in companies.in_pieces(list(pairs)):
            rows = standing(credentials).filter(client__in=some).select_related("client")
            wishes += [
                Wish(row.client, row.psa_company_id, row.psa_company_name)
                for row in rows
                if pairs[row.client_id] == row.psa_company_id
            ]
        taken = Counter(wish.company_id for wish in wishes)
        sure = [wish for wish in wishes if taken[wish.company_id] == 1]
        companies.link_all(credentials, sure, by=by, origin=Origin.SUGGESTION)
    return Accepted(mapped=len(sure), left=len(pairs) - len(sure))
