"""Who says yes or no, and how a no to them sounds (asked by proposals, questions and undo)."""

from __future__ import annotations

from dataclasses import dataclass

from integrations.psa.errors import PsaError
from portal.models import ApiToken, User


class Refused(Exception):
    """What was asked cannot be done: a stable code and a sentence for whoever asked."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def of_the_psa(error: PsaError) -> Refused:
    """What a PSA said, or did not say, to somebody who waits for a page or a call."""
    if error.kind == "unreachable":
        text = (
            f"{error.text} Nothing was written. Try again in a moment; when it stays so, Status says since when the"
            " PSA does not answer."
        )
        return Refused("psa_error", text)
    return Refused("psa_error", f"{error.text} {error.advice}".strip())


@dataclass(frozen=True)
class Decider:
    """A person, or a token; tokens are never a second pair of eyes.

    `author` answers for it: the person, or whoever made the token. Their own yes to it is no second pair either.
    """

    name: str
    user: User | None = None
    author: User | None = None

    @classmethod
    def of(cls, actor: User | ApiToken) -> Decider:
        if isinstance(actor, User):
            return cls(actor.email, actor, actor)
        return cls(f"token {actor.name}"[:254], author=actor.created_by)
