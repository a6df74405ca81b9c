"""What does a PATCH body change? `[{"op", "path", "value"}]` becomes new values of top-level fields.

Paths are case-sensitive, with or without a leading slash; `status` takes a reference, `status/id` is said to work, or
to answer 200 and change nothing (developer guide against clients), hence a switch.
"""

from typing import Any

from integrations.sandbox.connectwise.answers import Refused, field_error, invalid
from integrations.sandbox.connectwise.shapes import Shape

OPERATIONS = ("add", "replace", "remove")


def changes_in(operations: Any, shape: Shape, *, nested_applies: bool) -> dict[str, Any]:
    """Values by field name, None where a field is cleared; raises `Refused`."""
    if not isinstance(operations, list) or not all(isinstance(one, dict) for one in operations):
        raise Refused(400, "InvalidObject", f"{shape.resource}: the body must be a list of patch operations")
    changes: dict[str, Any] = {}
    for one in operations:
        name, key, value = _read(one, shape)
        if key is None:
            changes[name] = value
        elif nested_applies:
            changes[name] = None if value in (None, "") else {key: value}
    return changes


def _read(operation: dict[str, Any], shape: Shape) -> tuple[str, str | None, Any]:
    verb, path = str(operation.get("op", "")).lower(), str(operation.get("path", ""))
    if verb not in OPERATIONS:
        raise _unusable(shape, path, f"op {operation.get('op')!r} is not one of {', '.join(OPERATIONS)}")
    name, _, key = path.removeprefix("/").partition("/")
    field = shape.fields.get(name)
    if field is None:
        raise _unusable(shape, path, f"path {path!r} does not exist")
    if key and (field.kind != "reference" or key not in ("id", "name", "identifier")):
        raise _unusable(shape, path, f"path {path!r} does not exist")
    if verb != "remove" and "value" not in operation:
        raise _unusable(shape, path, f"{verb} needs a value")
    return name, key or None, None if verb == "remove" else operation["value"]


def _unusable(shape: Shape, path: str, problem: str) -> Refused:
    return invalid(shape.resource, [field_error("InvalidPatch", problem, shape.resource, path)])
