"""The answers with which the exchange refuses a request: HTTP status, the broker's code, a message for people."""

from enum import Enum

NOT_EXECUTED_CODE = 50310000


class VenueRefusalError(Exception):
    """A request is refused without any effect."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class Code(Enum):
    """HTTP status and code number. The broker's numbers are generic: several refusals share one."""

    BAD_REQUEST = (400, 40010000)
    UNAUTHORIZED = (401, 40110000)
    FORBIDDEN = (403, 40310000)
    NOT_FOUND = (404, 40410000)
    METHOD_NOT_ALLOWED = (405, 40510000)
    INVALID = (422, 40010001)
    UNPROCESSABLE = (422, 42210000)
    TOO_MANY_REQUESTS = (429, 42910000)
    # The simulator's proof that nothing was executed: this code together with a message that starts "not executed:".
    NOT_EXECUTED = (503, NOT_EXECUTED_CODE)


def refusal(code: Code, message: str) -> VenueRefusalError:
    return VenueRefusalError(*code.value, message)


def order_not_found(wanted: str) -> VenueRefusalError:
    return refusal(Code.NOT_FOUND, f"order not found for {wanted}")


def exchange_is_down() -> VenueRefusalError:
    return refusal(Code.NOT_EXECUTED, "not executed: the exchange is down")


def exchange_refused() -> VenueRefusalError:
    return refusal(Code.NOT_EXECUTED, "not executed: the exchange refused the request")
