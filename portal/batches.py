"""One object or many of them in one call, with a result for each (asked by REST doors that take batches)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from drf_spectacular.utils import PolymorphicProxySerializer, inline_serializer
from rest_framework import serializers

from portal.rest import Problem, flat
from portal.texts import FieldError

MOST_ITEMS = 1000
OUTCOMES = ["accepted", "rejected"]


class ItemErrorOut(serializers.Serializer[Any]):
    field = serializers.CharField()
    code = serializers.CharField()
    detail = serializers.CharField()


class ItemOut(serializers.Serializer[Any]):
    """What became of one item; `id` is that of the row, where there is one."""

    status = serializers.ChoiceField(choices=OUTCOMES)
    id = serializers.UUIDField(allow_null=True)
    errors = ItemErrorOut(many=True)  # type: ignore[assignment]


class ItemsOut(serializers.Serializer[Any]):
    results = ItemOut(many=True)


@dataclass
class Item:
    """One object of a call: what it says when it is well-formed, what is wrong with it, and the row it became."""

    data: dict[str, Any] = field(default_factory=dict)
    errors: list[FieldError] = field(default_factory=list)
    row: Any = None

    def refuse(self, name: str, code: str, detail: str) -> None:
        self.errors.append(FieldError(name, code, detail))

    def as_json(self) -> dict[str, Any]:
        is_done = self.row is not None and not self.errors
        return {
            "status": "accepted" if is_done else "rejected",
            "id": str(self.row.pk) if is_done else None,
            "errors": [error.as_json() for error in self.errors],
        }


def is_many(body: Any, plural: str) -> bool:
    return isinstance(body, dict) and plural in body


def items_of(body: Any, plural: str, shape: type[serializers.Serializer[Any]]) -> list[Item]:
    """The objects that were sent, in their order. Raises Problem when the call as a whole is not well-formed."""
    sent = [body] if isinstance(body, dict) and plural not in body else None
    if isinstance(body, dict) and plural in body:
        sent = body[plural] if isinstance(body[plural], list) else None
    if not sent:
        raise Problem(400, "invalid_request", f"Send one object, or {{“{plural}”: […]}} with a list of them.")
    if len(sent) > MOST_ITEMS:
        raise Problem(413, "too_many_items", f"{len(sent)} items in one request; {MOST_ITEMS} are allowed.")
    return [item_of(one, shape) for one in sent]


def item_of(sent: Any, shape: type[serializers.Serializer[Any]]) -> Item:
    if not isinstance(sent, Mapping):
        return Item(errors=[FieldError("", "not_an_object", "Each item is a JSON object.")])
    read = shape(data=sent)
    if read.is_valid():
        return Item(dict(read.validated_data))
    wrong = flat(read.errors)
    return Item(errors=[FieldError(one["field"], one["code"], one["detail"]) for one in wrong])


def good(items: Sequence[Item]) -> list[Item]:
    return [item for item in items if not item.errors]


def results(items: Sequence[Item]) -> dict[str, Any]:
    return {"results": [item.as_json() for item in items]}


def one_or_many(plural: str, shape: type[serializers.Serializer[Any]]) -> Any:
    """For the schema: an object, or a list of them under its plural."""
    name = shape.__name__.removesuffix("In")
    many = inline_serializer(f"{name}Batch", {plural: shape(many=True, help_text="Up to 1,000 items.")})
    return PolymorphicProxySerializer(f"{name}OrBatch", [shape, many], resource_type_field_name=None)
