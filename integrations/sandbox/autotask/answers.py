"""How Autotask says no: a 500 with a list of sentences, whatever the reason (Autotask REST v1.0)."""

from typing import Any

from integrations.sandbox.messages import Answer, Headers, json_answer

NO_MATCH = "No matching records found for the given id."
IMPERSONATED = "The logged in Resource does not have the adequate permissions to impersonate this Resource."
THREADS = "Itgenatr005: The thread threshold of {most} threads has been exceeded for this object endpoint."
USED_UP = (
    "The number of external requests has reached the threshold of {most} for the last {minutes} minutes; "
    "requests are refused until the usage drops."
)


class Refused(Exception):
    """A request that ends in an error answer of one shape: `{"errors": [...]}`."""

    def __init__(self, *errors: str, status: int = 500, headers: Headers = ()) -> None:
        super().__init__("; ".join(errors))
        self.status = status
        self.headers = headers
        self.body: dict[str, Any] = {"errors": list(errors)}


class NotRouted(Exception):
    """No such path, or not with this method: the framework answers, not the service, and says `Message`."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"Message": message}


def not_allowed(method: str) -> NotRouted:
    return NotRouted(f"The requested resource does not support http method '{method}'.", status=405)


def no_resource(path: str) -> NotRouted:
    return NotRouted(f"No HTTP resource was found that matches the request URI '{path}'.", status=404)


def not_permitted(right: str, *, status: int) -> Refused:
    return Refused(
        f"The logged in Resource does not have the adequate permissions to {right} this entity type.",
        status=status,
    )


def unauthorized(realm: str) -> Answer:
    """Nothing tells which of user, secret, code and zone was wrong."""
    return Answer(401, headers=(("WWW-Authenticate", f'Basic Realm="{realm}"'),))


def errors_answer(*errors: str, status: int = 500, headers: Headers = ()) -> Answer:
    return json_answer({"errors": list(errors)}, status=status, headers=headers)


def missing(name: str) -> str:
    return f"Value does not exist for the required field {name}. "


def no_such_choice(value: Any, name: str) -> str:
    return f"Picklist value [{value}] does not exist for {name}. "


def no_such_reference(name: str, entity: str) -> str:
    return f"Reference value on field: {name} of type: {entity} does not exist or is invalid."


def too_long(name: str, longest: int) -> str:
    return f"The value for field {name} exceeds the maximum length of {longest} characters. "


def unknown_field(name: str, singular: str) -> Refused:
    return Refused(f"Unable to find {name} in the {singular} Entity.")
