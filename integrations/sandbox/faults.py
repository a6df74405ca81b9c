"""What goes wrong on purpose: which rule applies to a request, and what each fault does to its answer.

A rule is `{"match": {"method", "path", "query", "body"}, "fault": name, "rate": 0..1, "times": n|null, ...}`, the four
of `match` being regular expressions searched for without regard to case (method: whole). The first rule that
matches, has times left and wins its dice is the one; `latency` rules add up and let the search go on.
"""

import random
import re
import threading
from dataclasses import dataclass, field
from typing import Any

from integrations.sandbox.messages import Request


@dataclass(frozen=True, slots=True)
class Fault:
    """What a fault does by default: whether the PSA carries the request out, and the parameters it knows."""

    commits: bool
    parameters: tuple[str, ...] = ()


FAULTS = {
    "latency": Fault(commits=True, parameters=("seconds",)),
    "drop": Fault(commits=False),
    "commit_then_drop": Fault(commits=True),
    "late_commit": Fault(commits=False, parameters=("delay", "hold")),
    "status_401": Fault(commits=False),
    "status_403": Fault(commits=False, parameters=("module",)),
    "status_429": Fault(commits=False, parameters=("retry_after",)),
    "status_500": Fault(commits=False, parameters=("commit",)),
    "html_503": Fault(commits=False, parameters=("commit",)),
    "html_200": Fault(commits=False, parameters=("commit",)),
    "redirect": Fault(commits=False, parameters=("location", "status")),
    "truncated_json": Fault(commits=True, parameters=("socket",)),
    "invalid_json": Fault(commits=True),
    "drip": Fault(commits=True, parameters=("seconds",)),
}
_NUMBERS = ("seconds", "delay", "hold", "status")
_MATCH = ("method", "path", "query", "body")


class BadRule(ValueError):
    """The rule cannot be understood; the text says why."""


@dataclass(slots=True)
class Rule:
    id: int
    fault: str
    match: dict[str, str]
    rate: float = 1.0
    times: int | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    hits: int = 0
    patterns: dict[str, re.Pattern[str]] = field(default_factory=dict)

    @property
    def commits(self) -> bool:
        return bool(self.parameters.get("commit", FAULTS[self.fault].commits))

    def seconds(self, name: str, default: float = 0.0) -> float:
        return float(self.parameters.get(name, default))

    def applies_to(self, request: Request, module: str | None) -> bool:
        if self.times is not None and self.hits >= self.times:
            return False
        if "module" in self.parameters and self.parameters["module"] != module:
            return False
        return all(_found(name, pattern, request) for name, pattern in self.patterns.items())

    def as_json(self) -> dict[str, Any]:
        shown = {"id": self.id, "fault": self.fault, "match": self.match, "rate": self.rate}
        return {**shown, "times": self.times, "hits": self.hits, **self.parameters}


def rule_from(data: Any, number: int) -> Rule:
    if not isinstance(data, dict) or data.get("fault") not in FAULTS:
        raise BadRule(f"a rule needs a fault, one of: {', '.join(FAULTS)}")
    data = dict(data)
    fault, match = data.pop("fault"), data.pop("match", None) or {}
    rate, times = data.pop("rate", 1.0), data.pop("times", None)
    if unknown := (set(data) - set(FAULTS[fault].parameters)) | (set(match) - set(_MATCH)):
        raise BadRule(f"{fault} does not know: {', '.join(sorted(unknown))}")
    try:
        patterns = {name: re.compile(str(text), re.IGNORECASE) for name, text in match.items()}
        for name in _NUMBERS:
            float(data.get(name, 0))
        return Rule(
            number, fault, match, float(rate), None if times is None else int(times), data, 0, patterns
        )
    except (re.error, TypeError, ValueError) as error:
        raise BadRule(f"{fault}: {error}") from error


def _found(name: str, pattern: re.Pattern[str], request: Request) -> bool:
    if name == "method":
        return pattern.fullmatch(request.method) is not None
    texts = {"path": request.path, "query": request.raw_query}
    text = texts[name] if name in texts else request.body.decode("utf-8", "replace")
    return pattern.search(text) is not None


@dataclass(frozen=True, slots=True)
class Choice:
    """What is in store for one request."""

    rule: Rule | None = None
    latency: float = 0.0

    @property
    def name(self) -> str | None:
        if self.rule:
            return self.rule.fault
        return "latency" if self.latency else None


NOTHING = Choice()


class Faults:
    """The rules in force and the dice, which fall the same way after the same seed."""

    def __init__(self, seed: int = 0) -> None:
        self._guard = threading.Lock()
        self._dice = random.Random(seed)
        self._rules: list[Rule] = []
        self._made = 0

    def reseed(self, seed: int) -> None:
        with self._guard:
            self._dice.seed(seed)

    def add(self, data: Any) -> Rule:
        with self._guard:
            rule = rule_from(data, self._made + 1)
            self._made += 1
            self._rules.append(rule)
            return rule

    def clear(self, rule_id: int | None = None) -> int:
        """Take away one rule or all; answers how many went."""
        with self._guard:
            before = len(self._rules)
            self._rules = [rule for rule in self._rules if rule_id is not None and rule.id != rule_id]
            return before - len(self._rules)

    def rules(self) -> list[Rule]:
        with self._guard:
            return list(self._rules)

    def choose(self, request: Request, module: str | None) -> Choice:
        if not self._rules:
            return NOTHING
        latency = 0.0
        with self._guard:
            for rule in self._rules:
                if not rule.applies_to(request, module):
                    continue
                if rule.rate < 1 and self._dice.random() >= rule.rate:
                    continue
                rule.hits += 1
                if rule.fault != "latency":
                    return Choice(rule, latency)
                latency += rule.seconds("seconds", 1.0)
        return Choice(None, latency)
