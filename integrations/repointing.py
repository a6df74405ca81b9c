"""A level goes to another PSA: what becomes of all that was chosen at the one it leaves (asked by Change Connection).

The new connection is prepared beside the one in effect: its options are read, each stored choice is looked for there by
name, a person looks at what was found, and only then everything changes, in one transaction. The former connection
keeps its row: tickets that are open there are followed and closed there.
"""

from __future__ import annotations

import hashlib
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from integrations import choices, companies, connections, following, locking, reloading
from integrations.companies import Wish
from integrations.connections import Entered
from integrations.gonechoices import LEVELS, referring_fields
from integrations.models import CatchAllCompany, Choice, CompanyLink, Credentials, Following, Reload
from integrations.models.connections import Kind, Origin, Standing
from integrations.psa.errors import Misconfigured
from integrations.reloading import OF_A_BOARD
from integrations.suggestions import Name
from portal import audit, background, clock, texts
from portal.models import User

OF_A_COMPANY = ("agreement", "contact")
Key = tuple[str, str, str]
"""Kind, within and id, as the PSA that is left knows a choice."""


class NotNow(Exception):
    """It cannot be changed as things are; the text says why and what to do."""


@dataclass(frozen=True)
class Use:
    """One place where a choice stands."""

    purpose: str
    level: str
    url: str


@dataclass
class Line:
    """One choice of the PSA that is left, and what was found for it. Without a `match` its places are left empty.

    `proposals` are those that may be meant: a person decides. `why` says why nothing was found.
    """

    key: Key
    name: str
    match: Choice | None = None
    proposals: Sequence[Choice] = ()
    why: str = ""
    uses: list[Use] = field(default_factory=list)

    @property
    def kind(self) -> str:
        return self.key[0]

    @property
    def field(self) -> str:
        """What a form and REST call it."""
        return ":".join(self.key)

    def as_json(self) -> dict[str, Any]:
        uses = [{"purpose": use.purpose, "level": use.level, "url": use.url} for use in self.uses]
        return {"kind": self.kind, "name": self.name, "why": self.why, "uses": uses}


# --- The connection that is prepared ----------------------------------------------------------------------------------


def draft_of(current: Credentials) -> Credentials | None:
    rows = Credentials.objects.filter(**connections.level_of(current.level), standing=Standing.DRAFT)
    found: Credentials | None = rows.select_related("lane", "partner").defer("secret").first()
    return found


def begin(current: Credentials, entered: Entered, *, by: User | None) -> Credentials:
    """Prepare another connection for the level: store its keys, read its options. Nothing else changes.

    Raises Misconfigured for keys that cannot be right, or are those of the PSA that is connected already.
    """
    if entered.kind == Kind.NONE:
        raise Misconfigured(
            "Choose the PSA that it goes to.",
            field="kind",
            advice="To use none, reset what was read from it and save “No PSA”.",
        )
    if not locking.changed_fields(current, entered):
        raise Misconfigured(
            "This PSA is connected already.",
            field="site_url",
            advice="New keys of the same PSA are saved on the page of PSA Credentials.",
        )
    level = current.level
    row = Credentials(partner_id=current.partner_id, standing=Standing.DRAFT, **connections.level_of(level))
    with transaction.atomic():
        Credentials.objects.select_for_update().only("pk").get(pk=current.pk)
        abandon(current)
        draft = connections.save_credentials(level, entered, by=by, current=row)
        reloading.ask(draft, by=by)
    return draft


def abandon(current: Credentials) -> bool:
    """Forget what was prepared; True when there was something."""
    rows = Credentials.objects.filter(**connections.level_of(current.level), standing=Standing.DRAFT)
    return bool(rows.delete()[0])


# --- What becomes of what was chosen ----------------------------------------------------------------------------------


@dataclass
class Preview:
    """All lines, and what they were made from."""

    current: Credentials
    draft: Credentials
    lines: Sequence[Line]

    @cached_property
    def matched(self) -> list[Line]:
        return [line for line in self.lines if line.match]

    @cached_property
    def open(self) -> list[Line]:
        """Nothing fits surely, but something may be meant."""
        return [line for line in self.lines if line.proposals]

    @cached_property
    def unmatched(self) -> list[Line]:
        return [line for line in self.lines if not line.match]

    @cached_property
    def digest(self) -> str:
        """The same as long as the same would come of it."""
        told = [(line.field, str(line.match and line.match.pk), len(line.uses)) for line in self.lines]
        return hashlib.sha256(repr((str(self.draft.pk), sorted(told))).encode()).hexdigest()[:32]


def preview(current: Credentials, draft: Credentials, picks: Mapping[str, str]) -> Preview:
    """Every stored choice with its counterpart; `picks` says for a line's `field` which proposal is meant (an id).

    One query for each field that can hold a choice, and two for the options of each side.
    """
    matcher = Matcher(current, draft, picks)
    for model_field in referring_fields():
        for row in rows_with(current, model_field):
            old = getattr(row, model_field.name)
            line = matcher.line(old.kind, old.within, old.psa_id, old.name, place_of(old))
            line.uses.append(use_of(row, model_field))
    links = CompanyLink.objects.filter(credentials=current).exclude(psa_company_id="")
    for link in links.select_related("client").order_by("client__name"):
        line = matcher.line("company", "", link.psa_company_id, link.psa_company_name)
        line.uses.append(Use("PSA company of a client", str(link.client), link.get_absolute_url()))
    for caught in CatchAllCompany.objects.filter(credentials=current):
        line = matcher.line("company", "", caught.psa_company_id, caught.psa_company_name)
        line.uses.append(Use("Catch-all company", str(current.level), ""))
    used = [line for line in matcher.lines.values() if line.uses]
    order: dict[str, int] = {kind: place for place, kind in enumerate(choices.IN_ORDER)}
    return Preview(
        current, draft, sorted(used, key=lambda one: (order.get(one.kind, 99), one.name.casefold(), one.key))
    )


def rows_with(current: Credentials, model_field: Any) -> Iterable[Any]:
    names = {one.name for one in model_field.model._meta.fields}
    rows = model_field.model._default_manager.filter(
        **{"partner_id": current.partner_id, f"{model_field.name}__credentials": current}
    )
    return rows.select_related(model_field.name, *(name for name in LEVELS if name in names)).order_by("pk")


def use_of(row: Any, model_field: Any) -> Use:
    level = next((str(found) for name in LEVELS if (found := getattr(row, name, None))), "")
    purpose = f"{model_field.verbose_name} of {row._meta.verbose_name}"
    return Use(purpose[:1].upper() + purpose[1:], level, row.get_absolute_url())


class Matcher:
    """Finds counterparts by name: statuses on the board's counterpart, agreements at the company's."""

    def __init__(self, current: Credentials, draft: Credentials, picks: Mapping[str, str]) -> None:
        self.picks = picks
        self.lines: dict[Key, Line] = {}
        self.names = {
            (kind, psa_id): name
            for kind, psa_id, name in current.choices.filter(kind__in=("board", "company")).values_list(
                "kind", "psa_id", "name"
            )
        }
        self.offered: dict[tuple[str, str], list[Choice]] = defaultdict(list)
        for choice in draft.choices.filter(vanished_at=None).order_by("name", "psa_id"):
            self.offered[choice.kind, place_of(choice)].append(choice)

    def line(self, kind: str, within: str, psa_id: str, name: str, owner: str = "") -> Line:
        """`owner` is the id of the board or company that it belongs to."""
        key = (kind, within, psa_id)
        if key not in self.lines:
            self.lines[key] = self.found(Line(key, name), owner)
        return self.lines[key]

    def found(self, line: Line, owner: str) -> Line:
        kind, place = line.kind, ""
        if owner:
            parent = "board" if kind in OF_A_BOARD else "company"
            above = self.line(parent, "", owner, self.names.get((parent, owner), ""))
            if above.match is None:
                line.why = f"Its {parent} {f'“{above.name}” ' if above.name else ''}has no counterpart."
                return line
            place = above.match.psa_id
        candidates = self.offered[kind, place]
        if not candidates and kind in OF_A_BOARD:
            candidates = self.offered[kind, ""]  # of every board, at PSAs that have it so
        same = [one for one in candidates if one.name == line.name]
        if len(same) == 1:
            line.match = same[0]
            return line
        near = same or [one for one in candidates if is_near(one.name, line.name)]
        picked = self.picks.get(line.field)
        line.match = next((one for one in near if str(one.pk) == picked), None)
        if line.match is None:
            line.proposals = near
            line.why = (
                "Several are called so."
                if same
                else "Only a similar name was found."
                if near
                else "Not found."
            )
        return line


def place_of(choice: Choice) -> str:
    """The board or company that it belongs to, by the PSA's id; empty for what belongs to nothing."""
    if choice.kind in OF_A_COMPANY:
        return choice.within or str(choice.data.get("company_id") or "")
    return choice.within


def is_near(one: str, other: str) -> bool:
    """They differ in nothing but case, accents, blanks, punctuation and legal form."""
    key = Name.of(one).key
    return bool(key) and key == Name.of(other).key


# --- The change -------------------------------------------------------------------------------------------------------


def confirm(
    current: Credentials, *, picks: Mapping[str, str], digest: str, by: User | None, actor: object = ""
) -> Credentials:
    """Put the prepared connection into effect, with every choice that has a counterpart. All or nothing.

    `digest` is of the preview that a person saw. Raises NotNow.
    """
    with transaction.atomic():
        rows = Credentials.objects.select_for_update(of=("self",)).defer("secret").order_by("pk")
        here = list(rows.filter(**connections.level_of(current.level)).exclude(standing=Standing.FORMER))
        old = next((row for row in here if row.pk == current.pk and row.standing == Standing.CURRENT), None)
        new = next((row for row in here if row.standing == Standing.DRAFT), None)
        if old is None or new is None:
            raise NotNow("Nothing is prepared any more: somebody changed this connection, or took it back.")
        require_read(new)
        seen = preview(old, new, picks)
        if seen.digest != digest:
            raise NotNow("Something changed since it was shown. Look at it again, then confirm.")
        name = str(actor or by or "")
        apply(seen, by=name)
        audit.note(
            "change connection",
            actor=actor or by or "",
            partner_id=old.partner_id,
            target=str(old.level),
            details={
                "from": f"{old.kind} {old.site_url}",
                "to": f"{new.kind} {new.site_url}",
                "matched": len(seen.matched),
                "left_empty": len(seen.unmatched),
            },
        )
        background.enqueue("integrations.jobs.look_over")
    return new


def with_picks(current: Credentials, picks: Mapping[str, str], digest: str) -> str:
    """The digest of what a preview without picks becomes by these; for callers that look once and pick at the end.

    Raises NotNow for a pick that is no proposal of that preview; what it was for would be left empty.
    """
    draft = draft_of(current)
    if draft is None or preview(current, draft, {}).digest != digest:
        return digest  # to be refused by `confirm`
    seen = preview(current, draft, picks)
    matched = {line.field: str(line.match.pk) for line in seen.matched if line.match}
    for name, picked in picks.items():
        if matched.get(name) != picked:
            raise NotNow(f"“{texts.shown(name)}” has no such proposal; look at the preview again.")
    return seen.digest


def require_read(draft: Credentials) -> None:
    """Raises NotNow while the options of the new PSA are not known."""
    last = draft.reloads.first()
    if last is None or last.state in reloading.UNDER_WAY:
        raise NotNow("The options of the new PSA are still being read.")
    if last.state == Reload.State.FAILED:
        raise NotNow(f"The new PSA could not be read. {last.error_text} {last.advice}".strip())


def apply(seen: Preview, *, by: str) -> None:
    """In the caller's transaction."""
    old, new = seen.current, seen.draft
    targets = {line.key: line.match for line in seen.lines}
    matched = {
        choice.pk: targets.get((choice.kind, choice.within, choice.psa_id))
        for choice in old.choices.filter(pk__in=used_choices(old)).only("kind", "within", "psa_id")
    }
    for path in settings.CONNECTION_CHANGES:
        import_string(path)(old, matched, by=by)
    rewrite(old, new, matched)
    link_companies(seen, targets, by=by)
    now = clock.now()
    Credentials.objects.filter(pk=old.pk).update(
        standing=Standing.FORMER, replaced_at=now, left_empty=[line.as_json() for line in seen.unmatched]
    )
    Credentials.objects.filter(pk=new.pk).update(standing=Standing.CURRENT, updated_at=now)
    if Following.objects.filter(credentials=old, is_enabled=True).exists():
        following.switch_on(new)


def used_choices(old: Credentials) -> set[uuid.UUID]:
    found: set[uuid.UUID] = set()
    for one in referring_fields():
        rows = one.model._default_manager.filter(
            **{"partner_id": old.partner_id, f"{one.name}__credentials": old}
        )
        found |= set(rows.values_list(f"{one.name}_id", flat=True))
    return found


def rewrite(old: Credentials, new: Credentials, matched: Mapping[Any, Choice | None]) -> None:
    """Every field that holds a choice: its counterpart, or nothing; a row that means nothing without goes."""
    by_model: dict[Any, list[Any]] = defaultdict(list)
    for one in referring_fields():
        by_model[one.model].append(one)
    for model, fields in by_model.items():
        rows = {
            row.pk: row
            for one in fields
            for row in model._default_manager.filter(
                **{"partner_id": old.partner_id, f"{one.name}__credentials": old}
            )
        }
        for row in rows.values():
            rewrite_row(row, fields, old, new, matched)


def rewrite_row(
    row: Any, fields: Sequence[Any], old: Credentials, new: Credentials, matched: Mapping[Any, Choice | None]
) -> None:
    changed = []
    for one in fields:
        value = getattr(row, f"{one.name}_id")
        if value not in matched:
            continue
        target = matched[value]
        if target is None and not one.null:
            row.delete()
            return
        setattr(row, one.name, target)
        changed.append(one.name)
    if getattr(row, "credentials_id", None) == old.pk:
        row.credentials = new
        changed.append("credentials")
    if changed:
        row.save(update_fields=changed)


def link_companies(seen: Preview, targets: Mapping[Key, Choice | None], *, by: str) -> None:
    """Mappings of the new connection; those of the former stay for its tickets. Skips are taken over."""
    wishes = []
    for link in CompanyLink.objects.filter(credentials=seen.current).select_related("client"):
        if not link.psa_company_id:
            wishes.append(Wish(link.client, "", ""))
        elif target := targets.get(("company", "", link.psa_company_id)):
            wishes.append(Wish(link.client, target.psa_id, target.name))
    if wishes:
        companies.link_all(seen.draft, wishes, by=by, origin=Origin.PORTAL)
    caught = CatchAllCompany.objects.filter(credentials=seen.current).first()
    if caught and (target := targets.get(("company", "", caught.psa_company_id))):
        companies.choose_catch_all(seen.draft, target, by=by)


def last_change(current: Credentials) -> Credentials | None:
    """The connection that this one replaced, with what was left empty; None when it is the level's first."""
    rows = Credentials.objects.filter(**connections.level_of(current.level), standing=Standing.FORMER)
    found: Credentials | None = rows.defer("secret").order_by("-replaced_at").first()
    return found
