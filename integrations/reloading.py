"""Reload Options from PSA: who asks, list after list in turns of the worker, what is told (asked by pages and jobs).

A reading goes list by list (boards, what belongs to each board, companies, ...) and keeps each list that was read;
one that cannot be read leaves its copy as it was. Only a full reading may conclude from absence that a choice is
gone. Whoever carries a reading out holds it by a sign of life that he writes with every call to the PSA: a reading
whose holder was killed is taken up by the next, which goes on with the first list that is not settled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.conf import settings
from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from integrations import choicestore, connections
from integrations.choicestore import Changes
from integrations.models import Choice, ChoiceList, Credentials, Reload
from integrations.models.connections import Standing
from integrations.psa import kinds
from integrations.psa.errors import NotPermitted, PsaError, Rejected, Throttled, Unreachable
from integrations.psa.port import ChoiceKind, Exchange, Option, Psa
from portal import background, clock, database
from portal.models import User

FLAT: tuple[ChoiceKind, ...] = (
    "board",
    "priority",
    "source",
    "category",
    "company",
    "product",
    "agreement",
    "contact",
)
OF_A_BOARD: tuple[ChoiceKind, ...] = ("status", "type", "subtype", "item")
OF_BOARD = "of_board"
"""The kind of list that holds what belongs to one board."""

JOB = "integrations.jobs.reload_choices"
TURN = 20.0
"""Seconds after which a reading lets others have the worker, at the end of a list."""
LONGEST_TURN = 170
"""Seconds; less than django-q2's `retry`."""
LEASE = timedelta(seconds=60)
"""Longer than any one call to a PSA may take."""
PAUSES = (10.0, 60.0, 300.0)
"""Seconds until a list is tried again when the PSA did not answer."""
MOST_LOST = 5
OVERLAP = timedelta(minutes=15)
"""Changes are asked for from so much earlier: clocks differ."""
CHUNK = 1000
MOST_TOLD = 100
"""Names kept of each sort of difference."""
KEPT = 30
FEW = 20
"""Of fewer rows than this any number may be gone at once; of more, not most."""
TOLD_EVERY = 0.5

UNDER_WAY = (Reload.State.WAITING, Reload.State.RUNNING)


class Superseded(Exception):
    """Somebody else carries this reading out by now."""


# --- Asking -----------------------------------------------------------------------------------------------------------


def ask(credentials: Credentials, *, by: User | None = None, mode: str = Reload.Mode.FULL) -> Reload:
    """Have the options read soon. Joins a reading that is under way; a full one takes the place of one that only looks
    for changes."""
    asked = stored(credentials, by=by, mode=mode)
    hand_over()
    return asked


def stored(credentials: Credentials, *, by: User | None, mode: str) -> Reload:
    """The reading that is under way afterwards. There is one at most, by a constraint."""
    email = by.email if by else ""
    row = Reload(partner_id=credentials.partner_id, credentials=credentials, mode=mode, asked_by=email)
    while not database.insert_new([row]):
        under_way = Reload.objects.filter(credentials=credentials, state__in=UNDER_WAY)
        if mode == Reload.Mode.FULL:
            nothing_yet: dict[str, Any] = {"done": [], "boards": [], "counts": {}, "diff": [], "read": 0}
            under_way.exclude(mode=mode).update(mode=mode, asked_by=email, **nothing_yet)
        found = under_way.first()
        if found is not None:
            joined: Reload = found
            return joined
    return row


def hand_over() -> None:
    background.enqueue(JOB, timeout=LONGEST_TURN)


# --- Taking turns -----------------------------------------------------------------------------------------------------


def take_turn() -> Reload | None:
    """Carry on with the reading whose turn it is, if any, and hand over to the next. Returns the one that went on."""
    row = claimed(due())
    if row is None:
        return None
    try:
        Turn(row).run(seconds=TURN)
    finally:
        if due().exists():
            hand_over()
    return row


def due() -> QuerySet[Any]:
    """Readings that nobody carries out and that may go on, first come first served."""
    return free().exclude(state=Reload.State.WAITING, due_at__gt=clock.now()).order_by("due_at", "pk")


def free() -> QuerySet[Any]:
    """Readings that nobody carries out."""
    orphaned = Q(state=Reload.State.RUNNING, beat_at__lte=clock.now() - LEASE)
    rows: QuerySet[Any] = Reload.objects.filter(Q(state=Reload.State.WAITING) | orphaned)
    return rows


def most_at_once() -> int:
    """Long work never takes all of the worker's processes."""
    return max(1, int(settings.Q_CLUSTER["workers"]) - 1)


def claimed(rows: QuerySet[Any], *, is_limited: bool = True) -> Reload | None:
    """Become the holder of the first of these."""
    now = clock.now()
    alive = Reload.objects.filter(state=Reload.State.RUNNING, beat_at__gt=now - LEASE)
    if is_limited and alive.count() >= most_at_once():
        return None
    for row in rows[:5]:
        as_seen = Reload.objects.filter(pk=row.pk, state=row.state, holder=row.holder, beat_at=row.beat_at)
        was_lost = 1 if row.state == Reload.State.RUNNING else 0
        taken = as_seen.update(
            state=Reload.State.RUNNING,
            holder=clock.new_id(),
            beat_at=now,
            lost=F("lost") + was_lost,
            started_at=Coalesce("started_at", now),
        )
        if taken:
            mine: Reload = Reload.objects.select_related("credentials__lane").get(pk=row.pk)
            return mine
    return None


def reload(credentials: Credentials) -> Reload:
    """Read everything now, in this thread. Raises PsaError when the PSA cannot be read; what was read is kept."""
    row = stored(credentials, by=None, mode=Reload.Mode.FULL)
    mine = claimed(free().filter(pk=row.pk), is_limited=False)
    if mine is None:
        return row
    turn = Turn(mine, is_patient=False)
    turn.run(seconds=None)
    if turn.failure is not None:
        raise turn.failure
    return mine


@dataclass(frozen=True)
class Step:
    """One list to read."""

    kind: ChoiceKind
    board: str = ""

    @property
    def name(self) -> str:
        return f"{OF_BOARD}:{self.board}" if self.board else self.kind

    @property
    def list_kind(self) -> str:
        return OF_BOARD if self.board else self.kind


class Turn:
    """One holder's work on one reading."""

    def __init__(self, row: Reload, *, is_patient: bool = True) -> None:
        self.row = row
        self.credentials = row.credentials
        self.is_patient = is_patient
        self.failure: PsaError | None = None
        self.is_superseded = False
        self.told_at = float("-inf")
        self.pending = Changes()
        self.told = Counter(one["what"] for one in self.row.diff)
        lists = ChoiceList.objects.filter(credentials=self.credentials)
        self.lists = {(one.kind, one.within): one for one in lists}

    def run(self, *, seconds: float | None) -> None:
        """Until everything is settled, or so many seconds have passed (None: no limit)."""
        ends_at = None if seconds is None else clock.monotonic() + seconds
        try:
            if self.row.lost >= MOST_LOST:
                self.stop(text=f"The reading was cut short {self.row.lost} times before it came to an end.")
                return
            self.read_lists(ends_at)
        except Superseded:
            return
        except PsaError as error:
            self.quietly(self.flush)
            self.put_off(error)
        except Exception as error:
            self.row.refresh_from_db(fields=["counts", "diff"])
            self.stop(kind="bug", text=f"The portal could not go on ({type(error).__name__}).")
            raise

    def read_lists(self, ends_at: float | None) -> None:
        with connections.psa_for(self.credentials, on_call=self.hear) as psa:
            while step := self.next_step():
                self.settle(psa, step)
                if ends_at is not None and clock.monotonic() > ends_at and self.next_step():
                    self.give_back(clock.now())
                    return
        self.finish()

    # --- List by list -------------------------------------------------------------------------------------------

    def next_step(self) -> Step | None:
        done = set(self.row.done)
        return next((step for step in self.steps() if step.name not in done), None)

    def steps(self) -> Iterator[Step]:
        """Boards and what belongs to them come first: tickets need nothing else."""
        psa = kinds.KINDS.get(self.credentials.kind)
        for kind in FLAT:
            if psa is not None and kind in psa.abilities.labels:
                yield Step(kind)
            if kind == "board":
                yield from (Step("board", board) for board in self.row.boards)

    def settle(self, psa: Psa, step: Step) -> None:
        """Read one list; one that the PSA refuses is in trouble, and the others go on."""
        mode = self.row.mode
        began_at = clock.now()
        kept = self.lists.get((step.list_kind, step.board)) or ChoiceList(
            partner_id=self.credentials.partner_id,
            credentials=self.credentials,
            kind=step.list_kind,
            within=step.board,
        )
        try:
            self.read_list(psa, step, kept, began_at)
            kept.trouble = kept.advice = ""
        except (NotPermitted, Rejected) as error:
            kept.trouble, kept.advice = error.text, error.advice
            self.trouble(step.kind, step.board, error.text, error.advice)
        self.settled(step, kept, mode)

    def read_list(self, psa: Psa, step: Step, kept: ChoiceList, began_at: datetime) -> None:
        is_full = self.row.mode == Reload.Mode.FULL
        since = None if is_full or kept.full_at is None or step.board else kept.since
        changed_since = since - OVERLAP if since else None
        kinds_of = OF_A_BOARD if step.board else (step.kind,)
        seen: dict[str, set[str]] = {kind: set() for kind in kinds_of}
        for kind in kinds_of:
            self.tell(kind=kind)
            self.take_all(psa.each_choice(kind, step.board, changed_since), step.board, kind, seen[kind])
        if is_full:
            kept.is_doubted = self.drop_missing(step.board, seen, kept)
        if step.kind == "board" and not step.board:
            self.follow_boards(is_whole=is_full)
        kept.read_at, kept.since = clock.now(), began_at
        if since is None:
            kept.full_at = kept.read_at

    def take_all(self, options: Iterable[Option], within: str, kind: str, seen: set[str]) -> None:
        """Page by page as they are read. What is read again after a failure is not counted twice."""
        read, of_kind = self.row.read, self.row.counts.get(kind, {}).get("read", 0)
        try:
            for chunk in chunks(options, CHUNK):
                self.take(within, chunk, seen)
        except PsaError:
            self.row.read = read
            self.count(kind, "read", of_kind - self.row.counts.get(kind, {}).get("read", 0))
            raise

    def take(self, within: str, chunk: Sequence[Option], seen: set[str]) -> None:
        """Up to a thousand options as the PSA told them."""
        if self.is_superseded:
            raise Superseded
        seen.update(option.id for option in chunk)
        self.row.read += len(chunk)
        self.count(chunk[0].kind, "read", len(chunk))
        self.keep(choicestore.compare(self.credentials, within, chunk))

    def drop_missing(self, within: str, seen: dict[str, set[str]], kept: ChoiceList) -> bool:
        """What a list that was read from end to end does not name any more is gone; True when that is too much to be
        believed at once."""
        is_doubted = False
        for kind, ids in seen.items():
            rows, gone, offered = choicestore.missing(self.credentials, kind, within, ids)
            if offered >= FEW and len(gone) * 2 > offered and not kept.is_doubted:
                is_doubted = True
                self.trouble(
                    kind,
                    within,
                    f"{len(gone)} of {offered} were missing all at once, as when a right is taken away. "
                    "They stay until the next full reading says the same.",
                    "Check the role of the API member.",
                )
                continue
            for changes in choicestore.goings(rows, "psa_id", gone):
                self.keep(changes)
        return is_doubted

    def follow_boards(self, *, is_whole: bool) -> None:
        """Which boards' lists belong to this reading: all in a full one, else those that are new to us or changed."""
        self.flush()
        rows, gone = choicestore.of_boards_gone(self.credentials)
        for changes in choicestore.goings(rows, "within", gone):
            self.keep(changes)
        boards = Choice.objects.filter(credentials=self.credentials, kind="board", vanished_at=None)
        lists = ChoiceList.objects.filter(credentials=self.credentials, kind=OF_BOARD)
        offered = boards.order_by("name").values_list("psa_id", flat=True)
        lists.exclude(within__in=list(offered)).delete()
        if is_whole:
            self.row.boards = list(offered)
            return
        known = lists.filter(full_at__isnull=False).values("within")
        is_new = ~Q(psa_id__in=known) | Q(changed_at__gte=self.row.started_at or self.row.asked_at)
        self.row.boards = list(offered.filter(is_new))

    # --- Writing, while it is ours ------------------------------------------------------------------------------

    def keep(self, changes: Changes) -> None:
        """What changed, to be written when it is much or its list is settled; nothing when nothing did."""
        for difference in changes.differences:
            self.count(difference.kind, difference.what, 1)
            if self.told[difference.what] < MOST_TOLD and difference.what != "changed":
                self.told[difference.what] += 1
                self.row.diff.append(difference.as_json())
        self.pending.extend(changes)
        if len(self.pending) >= CHUNK:
            self.flush()
        self.tell()

    def flush(self) -> None:
        """Write what changed together with the word of it."""
        if self.pending:
            with database.writing():
                self.note("read", "calls", "counts", "diff")
                choicestore.write(self.pending)
            self.pending = Changes()

    def settled(self, step: Step, kept: ChoiceList, mode: str) -> None:
        """This list is done with; unless somebody asked for everything meanwhile, then it begins anew."""
        self.row.done = [*self.row.done, step.name]
        self.row.tries = self.row.lost = 0
        fields = ("read", "calls", "counts", "diff", "done", "boards", "troubles", "tries", "lost")
        with database.writing():
            is_as_before = self.mine().filter(mode=mode).update(**self.values(*fields))
            if is_as_before:
                choicestore.write(self.pending)
                if kept._state.adding:
                    database.insert_new([kept])
                    kept._state.adding = False
                else:
                    kept.save()
        self.pending = Changes()
        self.lists[kept.kind, kept.within] = kept
        if not is_as_before:
            if not self.mine().exists():
                raise Superseded
            self.row.refresh_from_db(fields=["mode", *fields])

    def trouble(self, kind: str, board: str, text: str, advice: str) -> None:
        told = {"kind": kind, "board": board, "text": text, "advice": advice}
        self.row.troubles = [*self.row.troubles, told]

    def count(self, kind: str, what: str, number: int) -> None:
        of_kind = self.row.counts.setdefault(kind, {})
        of_kind[what] = of_kind.get(what, 0) + number

    def hear(self, exchange: Exchange) -> None:
        """After each call to the PSA: a sign of life and progress."""
        self.row.calls += 1
        if clock.monotonic() - self.told_at > TOLD_EVERY:
            updated = self.mine().update(**self.values("read", "calls", "kind"))
            self.is_superseded = not updated
            self.told_at = clock.monotonic()

    def tell(self, *, kind: str = "") -> None:
        """How far it is, not more often than pages ask for it."""
        self.row.kind = kind or self.row.kind
        if clock.monotonic() - self.told_at > TOLD_EVERY:
            self.note("read", "calls", "kind")

    def mine(self) -> QuerySet[Any]:
        rows: QuerySet[Any] = Reload.objects.filter(
            pk=self.row.pk, holder=self.row.holder, state=Reload.State.RUNNING
        )
        return rows

    def values(self, *fields: str) -> dict[str, Any]:
        return {**{name: getattr(self.row, name) for name in fields}, "beat_at": clock.now()}

    def note(self, *fields: str, **more: Any) -> None:
        """Write down how far it is; raises Superseded when it is not ours any more."""
        if not self.mine().update(**self.values(*fields), **more):
            raise Superseded
        self.told_at = clock.monotonic()

    # --- Coming to an end ---------------------------------------------------------------------------------------

    def give_back(self, due_at: datetime, **more: Any) -> None:
        """Others first; the reading goes on later."""
        self.note("read", "calls", state=Reload.State.WAITING, holder=None, due_at=due_at, **more)

    def put_off(self, error: PsaError) -> None:
        """A PSA that does not answer is asked again a little later; other trouble needs a person."""
        self.failure = error
        tries = self.row.tries
        may_pass = isinstance(error, Unreachable | Throttled) and tries < len(PAUSES)
        if not (may_pass and self.is_patient):
            self.stop(kind=error.kind, text=error.text, advice=error.advice)
            return
        pause = max(PAUSES[tries], getattr(error, "retry_after", 0.0))
        due_at = clock.now() + clock.spread(pause)
        self.quietly(lambda: self.give_back(due_at, tries=tries + 1, error_text=error.text))

    def stop(self, *, text: str, kind: str = "lost", advice: str = "") -> None:
        """It failed: what was read is kept, the rest is as old as before."""
        self.row.error_kind, self.row.error_text, self.row.advice = kind, text, advice
        self.row.left = self.kinds_left()
        self.quietly(lambda: self.end(Reload.State.FAILED))

    def finish(self) -> None:
        self.row.error_kind = self.row.error_text = self.row.advice = ""
        self.end(Reload.State.PARTLY if self.row.troubles else Reload.State.DONE)

    def end(self, state: str) -> None:
        self.row.state, self.row.finished_at = Reload.State(state), clock.now()
        told = ("read", "calls", "counts", "diff", "troubles", "left", "error_kind", "error_text", "advice")
        self.note(*told, state=state, finished_at=self.row.finished_at, holder=None)
        newest = Reload.objects.filter(credentials=self.credentials).order_by("-asked_at", "-pk")
        Reload.objects.filter(pk__in=list(newest.values_list("pk", flat=True)[KEPT:])).delete()

    def kinds_left(self) -> list[str]:
        done = set(self.row.done)
        left = [step for step in self.steps() if step.name not in done]
        found = [kind for step in left for kind in (OF_A_BOARD if step.board else (step.kind,))]
        if "board" in found:
            found += OF_A_BOARD
        return list(dict.fromkeys(found))

    def quietly(self, write: Callable[[], None]) -> None:
        """Whoever took over tells how it goes on."""
        try:
            write()
        except Superseded:
            self.is_superseded = True


def chunks(options: Iterable[Option], size: int) -> Iterator[list[Option]]:
    """So that a page-wise reading is stored page by page."""
    rest = iter(options)
    while chunk := list(islice(rest, size)):
        yield chunk


# --- By itself --------------------------------------------------------------------------------------------------------

FULL_EVERY = timedelta(hours=24)
CHANGES_EVERY = timedelta(hours=1)
AFTER_FAILURE = timedelta(hours=6)
MOST_ASKED = 20
"""Connections asked for in one minute, so that thousands do not begin together."""


def look_after() -> None:
    """Once a minute: readings that were left lying go on, and connections whose copy is old are read anew."""
    for credentials, mode in list(islice(outdated(), MOST_ASKED)):
        stored(credentials, by=None, mode=mode)
    for _ in due()[: most_at_once()]:
        hand_over()


def outdated() -> Iterator[tuple[Credentials, str]]:
    """Connections to read now, and how. Those that no person has tested yet, or that are in trouble, are left alone:
    each attempt with wrong keys counts at the PSA."""
    rows = connections_with_last().filter(lane__breaker="", lane__is_paused=False)
    rows = rows.exclude(test_passed=False).exclude(reloads__state__in=UNDER_WAY)
    for row in rows.defer("secret").order_by("pk"):
        if mode := mode_due(row):
            yield row, mode


def connections_with_last() -> QuerySet[Any]:
    """Connections with what is known of their last reading, and of the last that read everything."""
    rows: QuerySet[Any] = Credentials.objects.filter(kind__in=list(kinds.KINDS), standing=Standing.CURRENT)
    last = Reload.objects.filter(credentials=OuterRef("pk")).order_by("-asked_at", "-pk")
    whole = last.filter(mode=Reload.Mode.FULL).exclude(state=Reload.State.FAILED)
    return rows.annotate(
        last_asked_at=Subquery(last.values("asked_at")[:1]),
        last_state=Subquery(last.values("state")[:1]),
        last_error=Subquery(last.values("error_kind")[:1]),
        whole_at=Subquery(whole.values("finished_at")[:1]),
    )


def mode_due(row: Any) -> str | None:
    """Everything once a day, what changed once an hour, nothing for a while after a failure."""
    now = clock.now()
    if row.last_asked_at is None:
        return Reload.Mode.FULL if row.test_passed else None
    if row.last_state == Reload.State.FAILED:
        needs_a_person = row.last_error in ("sign_in_refused", "misconfigured", "address_refused")
        if now - row.last_asked_at < AFTER_FAILURE or (needs_a_person and row.updated_at < row.last_asked_at):
            return None
    if row.whole_at is None or row.whole_at < now - FULL_EVERY:
        return Reload.Mode.FULL
    return Reload.Mode.CHANGES if now - row.last_asked_at >= CHANGES_EVERY else None
