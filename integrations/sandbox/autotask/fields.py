"""How is an Autotask entity written down? A short notation, because a sandbox needs lengths and flags as data.

name:kind[:longest][!][^][~][-]   kind: int long double decimal bool text date day,
                                  `pick` for a picklist of its own, `pick<field` for one whose values depend on
                                  `field`, `pick=Entity.field` for another's, `@Entity` for a reference
!  required                       ^  settable at creation only
~  set by the server, ignored     -  cannot be queried
"""

from dataclasses import dataclass, field

NUMBERS = ("int", "long", "double", "decimal", "pick", "reference")


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    kind: str
    longest: int | None = None
    picklist: str | None = None
    parent: str | None = None
    entity: str | None = None
    required: bool = False
    fixed: bool = False
    read_only: bool = False
    queryable: bool = True

    @property
    def is_number(self) -> bool:
        return self.kind in NUMBERS


@dataclass(frozen=True, slots=True)
class Shape:
    """`by_lower` finds a field in any case, as the real service does; `names` in the order they are answered."""

    entity: str
    singular: str
    fields: dict[str, Field]
    has_udfs: bool = False
    names: tuple[str, ...] = ()
    dates: frozenset[str] = frozenset()
    by_lower: dict[str, Field] = field(default_factory=dict)


def shape(entity: str, singular: str, notation: str, *, udfs: bool = False) -> Shape:
    found = [_field(word, entity) for word in notation.split()]
    return Shape(
        entity,
        singular,
        {one.name: one for one in found},
        udfs,
        tuple(one.name for one in found),
        frozenset(one.name for one in found if one.kind in ("date", "day")),
        {one.name.lower(): one for one in found},
    )


def _field(word: str, entity: str) -> Field:
    bare = word.rstrip("!^~-")
    marks = word[len(bare) :]
    name, kind, *rest = bare.split(":")
    picklist = parent = reference = None
    if kind.startswith("pick"):
        parent = kind.partition("<")[2] or None
        picklist = kind.partition("=")[2] or f"{entity}.{name}"
        kind = "pick"
    elif kind.startswith("@"):
        kind, reference = "reference", kind[1:]
    return Field(
        name,
        kind,
        int(rest[0]) if rest else None,
        picklist,
        parent,
        reference,
        required="!" in marks,
        fixed="^" in marks,
        read_only="~" in marks,
        queryable="-" not in marks,
    )
