"""Who says yes or no, and how a no to them sounds (asked by proposals, questions and undo)."""

from __future__ import annotations

from dataclasses import dataclass

from portal.models import ApiToken, User


class Refused(Exception):
    """What was asked cannot be done: a stable code and a sentence for whoever asked."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass(frozen=True)
class Decider:
    """A person, or a token that a person made; tokens are never a second pair of eyes."""

    name: str
    user: User | None = None

    @classmethod
    def of(cls, actor: User | ApiToken) -> Decider:
        if isinstance(actor, User):
            return cls(actor.email, actor)
        return cls(f"token {actor.name}"[:254])
