"""One running sandbox: a dialect behind the HTTP server, with faults in between and the control door beside it."""

import argparse
import contextlib
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType

from integrations.sandbox.autotask.dialect import Autotask
from integrations.sandbox.connectwise.dialect import ConnectWise
from integrations.sandbox.control import PREFIX, Control, ControlDoor
from integrations.sandbox.dialect import Dialect
from integrations.sandbox.faults import Choice, Faults, Rule
from integrations.sandbox.messages import Answer, Request, Sending, html_answer, text_answer, with_headers
from integrations.sandbox.page import Pages
from integrations.sandbox.requestlog import Entry, RequestLog
from integrations.sandbox.server import HttpServer

KINDS: dict[str, Callable[[Path | None], Dialect]] = {"autotask": Autotask, "connectwise": ConnectWise}

HTML_503 = "<html><head><title>503</title></head><body><h1>Service Unavailable</h1></body></html>"
HTML_200 = "<html><head><title>Sign in</title></head><body><form>Company, user, password</form></body></html>"


class Sandbox:
    """`url` is where the PSA's API begins, `control` the control door for tests in this process."""

    def __init__(
        self,
        dialect: Dialect,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        latency: float = 0.0,
        open_control: bool = False,
    ) -> None:
        self.dialect = dialect
        self.faults = Faults()
        self.log = RequestLog()
        self.latency = latency
        self._late: set[threading.Timer] = set()
        self._door = ControlDoor(
            dialect, self.faults, self.log, open_to_all=open_control, before_reset=self._forget_late
        )
        self._pages = Pages(dialect, self.faults, self.log, self._door)
        self._server = HttpServer(self.respond, host=host, port=port)
        self.control = Control(self._door)

    @property
    def url(self) -> str:
        host = self._server.host
        shown = "127.0.0.1" if host in ("0.0.0.0", "") else f"[{host}]" if ":" in host else host
        return f"http://{shown}:{self._server.port}"

    @property
    def port(self) -> int:
        return self._server.port

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        """Stop at once; late commits that are still due do not happen."""
        self._forget_late()
        self._server.stop()
        self.dialect.close()

    def settle(self, timeout: float = 10.0) -> None:
        """Wait until every late commit has happened."""
        for timer in list(self._late):
            timer.join(timeout)

    def respond(self, request: Request) -> Sending:
        path = request.path
        if path == PREFIX or path.startswith(PREFIX + "/"):
            return Sending(self._door.answer(request))
        if self._pages.answers(request):
            return Sending(self._pages.answer(request))
        return self._respond_as_psa(request)

    def _respond_as_psa(self, request: Request) -> Sending:
        entry = self.log.begin(request)
        choice = self.faults.choose(request, self.dialect.module_of(request))
        if pause := self.latency + choice.latency:
            self._server.stopping.wait(pause)
        answer = self._work(request, choice.rule)
        sending = self._misbehaving(choice.rule, request, entry, answer)
        self._finish(entry, choice, answer, sending)
        return sending

    def _work(self, request: Request, rule: Rule | None) -> Answer | None:
        if rule is not None and not rule.commits:
            return None
        try:
            return self.dialect.handle(request)
        except Exception:  # noqa: BLE001 - our own bug must look like one, and not like a PSA that hung up
            traceback.print_exc()
            return text_answer("The sandbox has a bug; see its standard error.", status=500)

    def _finish(self, entry: Entry, choice: Choice, answer: Answer | None, sending: Sending) -> None:
        status = sending.answer.status if sending.answer else None
        committed = answer is not None and answer.committed
        self.log.finish(entry, status=status, fault=choice.name, committed=committed)

    def _misbehaving(
        self, rule: Rule | None, request: Request, entry: Entry, answer: Answer | None
    ) -> Sending:
        if rule is None:
            return Sending(answer)
        if rule.fault in ("drop", "commit_then_drop"):
            return Sending(None)
        if rule.fault == "late_commit":
            self._commit_later(request, entry, rule.seconds("delay", 1.0))
            return Sending(None, hold=rule.seconds("hold"))
        if rule.fault.startswith("status_"):
            wait = rule.parameters.get("retry_after", "30")
            status = int(rule.fault.removeprefix("status_"))
            return Sending(self.dialect.refusal(status, None if wait is None else str(wait)))
        if rule.fault in ("html_503", "html_200", "redirect"):
            return Sending(_page_instead(rule))
        return _garbled(rule, answer or Answer(204))

    def _forget_late(self) -> None:
        for timer in list(self._late):
            timer.cancel()
        self._late.clear()

    def _commit_later(self, request: Request, entry: Entry, delay: float) -> None:
        def commit() -> None:
            entry.committed = self.dialect.handle(request).committed
            self._late.discard(timer)

        timer = threading.Timer(delay, commit)
        timer.daemon = True
        self._late.add(timer)
        timer.start()


def _page_instead(rule: Rule) -> Answer:
    if rule.fault == "html_503":
        return html_answer(HTML_503, status=503)
    if rule.fault == "html_200":
        return html_answer(HTML_200)
    location = str(rule.parameters.get("location", "http://127.0.0.1:9/"))
    return with_headers(Answer(int(rule.seconds("status", 302))), [("Location", location)])


def _garbled(rule: Rule, answer: Answer) -> Sending:
    half = len(answer.body) // 2
    if rule.fault == "invalid_json":
        return Sending(replace(answer, body=b"{'id': " + answer.body[:half] + b"]"))
    if rule.fault == "drip":
        return Sending(answer, seconds_per_byte=rule.seconds("seconds", 0.05))
    if rule.parameters.get("socket"):
        return Sending(answer, sent_bytes=half)
    return Sending(replace(answer, body=answer.body[:half]))


@contextlib.contextmanager
def running_sandbox(
    *,
    kind: str = "connectwise",
    host: str = "127.0.0.1",
    port: int = 0,
    state: Path | str | None = None,
    latency: float = 0.0,
) -> Iterator[Sandbox]:
    """A sandbox in threads of this process, on a free port unless one is named; latency in seconds."""
    dialect = KINDS[kind](Path(state) if state else None)
    sandbox = Sandbox(dialect, host=host, port=port, latency=latency)
    sandbox.start()
    try:
        yield sandbox
    finally:
        sandbox.stop()


def serve(argv: list[str] | None = None) -> int:
    """Run one sandbox until SIGTERM or SIGINT; prints one line when it listens."""
    options = _options(argv)
    dialect = KINDS[options.kind](options.state)
    if options.large:
        dialect.reset({"large": {}})
    sandbox = Sandbox(
        dialect,
        host=options.host,
        port=options.port,
        latency=options.latency / 1000,
        open_control=options.open_control,
    )
    sandbox.start()
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    sys.stdout.write(f"sandbox {options.kind} listening on {sandbox.url}\n")
    sys.stdout.flush()
    stop.wait()
    sandbox.stop()
    return 0


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sandbox", description="Run a pretend PSA.")
    parser.add_argument("--kind", choices=sorted(KINDS), default="connectwise")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8765, help="0 takes a free one")
    parser.add_argument("--state", type=Path, help="keep the state in this file (default: memory only)")
    parser.add_argument("--latency", type=float, default=0.0, help="milliseconds before every answer")
    parser.add_argument("--large", action="store_true", help="start from 5,000 companies and 50,000 tickets")
    parser.add_argument("--open-control", action="store_true", help="let other machines use the control door")
    return parser.parse_args(argv)
