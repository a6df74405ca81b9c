"""Switches for facts nobody is sure of: changed with care, explained to people (asked by both dialects).

A dialect's switches are a frozen dataclass; the text below each field is its explanation.
"""

import ast
import inspect
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

Switches = TypeVar("Switches")
Choices = Mapping[str, tuple[Any, ...]]


class BadSwitch(ValueError):
    """A switch that does not exist, or a value it cannot have."""


@dataclass(frozen=True, slots=True)
class Switch:
    """One switch for people: what it means, what it is, what it is by default, what else it could be."""

    name: str
    value: Any
    default: Any
    choices: tuple[Any, ...]
    help: str


def changed(switches: Any, given: Mapping[str, Any], choices: Choices) -> Any:
    """The switches with other values; raises `BadSwitch`."""
    known = {one.name for one in fields(switches)}
    wanted = dict(given)
    for name, value in wanted.items():
        if name not in known:
            raise BadSwitch(f"there is no switch {name!r}; there are: {', '.join(sorted(known))}")
        now = getattr(switches, name)
        if isinstance(now, float) and type(value) is int:
            wanted[name] = value = float(value)
        if type(value) is not type(now) or value not in choices.get(name, (value,)):
            raise BadSwitch(f"{name} cannot be {value!r}")
    return replace(switches, **wanted)


def restored(kind: type[Switches], data: Mapping[str, Any]) -> Switches:
    """Switches from a state file, which may be older and know others."""
    known = {one.name for one in fields(kind)}  # type: ignore[arg-type] # always a dataclass
    return kind(**{name: value for name, value in data.items() if name in known})


def explained(switches: Any, choices: Choices) -> list[Switch]:
    texts = _texts(type(switches))
    usual = type(switches)()
    return [
        Switch(
            one.name,
            getattr(switches, one.name),
            getattr(usual, one.name),
            choices.get(one.name, (False, True) if isinstance(getattr(usual, one.name), bool) else ()),
            texts.get(one.name, ""),
        )
        for one in fields(switches)
    ]


def typed(switches: Any, name: str, text: str) -> Any:
    """What a person typed, as the switch's kind of value; what cannot be one stays text and is refused later."""
    now = getattr(switches, name, None)
    if isinstance(now, bool):
        return {"true": True, "false": False}.get(text.strip().lower(), text)
    if isinstance(now, int | float):
        try:
            return type(now)(text)
        except ValueError:
            return text
    return text


def _texts(kind: type) -> dict[str, str]:
    """The literal below each field; one text may speak of the fields around it as well."""
    [definition] = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    found: dict[str, str] = {}
    last = ""
    for one in definition.body if isinstance(definition, ast.ClassDef) else ():
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
            last = one.target.id
        elif last and isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant):
            found[last] = " ".join(str(one.value.value).split())
    return found
