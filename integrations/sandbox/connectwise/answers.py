"""How ConnectWise says no: the error shapes of its REST API, raised as exceptions and turned into answers."""

from typing import Any

from integrations.sandbox.messages import Answer, json_answer

NOT_ROUTED = "Cannot route. Codebase/company is invalid"


class Refused(Exception):
    """A request that ends in an error answer."""

    def __init__(
        self, status: int, code: str, message: str, errors: list[dict[str, Any]] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"code": code, "message": message, "errors": errors}


def field_error(code: str, message: str, resource: str, field: str) -> dict[str, Any]:
    return {"code": code, "message": message, "resource": resource, "field": field}


def too_long(resource: str, field: str, longest: int) -> dict[str, Any]:
    message = f"The field {field} must be a string with a maximum length of {longest}."
    return field_error("MaxLengthField", message, resource, field)


def missing(resource: str, field: str) -> dict[str, Any]:
    return field_error("MissingRequiredField", f"{field} is required.", resource, field)


def not_found_in(resource: str, field: str, message: str) -> dict[str, Any]:
    return field_error("NotFound", message, resource, field)


def invalid(resource: str, errors: list[dict[str, Any]]) -> Refused:
    return Refused(400, "InvalidObject", f"{resource} object is invalid", errors)


def bad_request(message: str) -> Refused:
    return Refused(400, "InvalidArgument", message)


def not_found(what: str, row_id: int) -> Refused:
    return Refused(404, "NotFound", f"{what} {row_id} not found")


def forbidden() -> Refused:
    return Refused(403, "Security", "You do not have security permission to perform this action.")


def too_many(retry_after: str | None) -> Answer:
    """A 429 has `error` where every other answer has `code`."""
    wait = retry_after if retry_after and retry_after.isdigit() else "30"
    message = f"Too many requests. Please try again in {wait} seconds."
    headers = (("Retry-After", retry_after),) if retry_after is not None else ()
    return json_answer({"error": "ConnectWiseAPI", "message": message}, status=429, headers=headers)
