"""Frames of the execution stream: what is sent to open it, and what a received frame is. Pure."""

from dataclasses import dataclass

import orjson

from domain.model.order_identity import InstallationPrefixes
from domain.ports.clock_and_ids import Clock
from domain.ports.venue import ExternalReport, UnreadableReport, VenueReport
from exchange.alpaca.events import TRADE_UPDATES, parse_trade_update, plain_fill
from exchange.alpaca.fields import Json, WireError, as_list, as_object, optional_text, parse_json

AUTHORIZATION = "authorization"
LISTENING = "listening"


@dataclass(frozen=True, slots=True, kw_only=True)
class NullFrame:
    """A frame without data, as observed for days in production; it has no meaning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlFrame:
    """A frame of another stream than the trade updates."""

    stream: str
    data: Json


Frame = VenueReport | ExternalReport | UnreadableReport | NullFrame | ControlFrame


def authenticate_frame(*, key: str, secret: str) -> str:
    """Return the first frame of a connection."""
    return _frame({"action": "authenticate", "data": {"key_id": key, "secret_key": secret}})


def listen_frame() -> str:
    """Return the frame that sets the list of streams."""
    return _frame({"action": "listen", "data": {"streams": [TRADE_UPDATES]}})


def parse_frame(raw: bytes, prefixes: InstallationPrefixes, *, clock: Clock) -> Frame:
    """Return the content of a text or binary frame that has just arrived. Never raises."""
    try:
        content = parse_json(raw)
    except WireError as error:
        return UnreadableReport(raw=raw, error=str(error))
    return plain_fill(content, prefixes, raw=raw) or parse_message(content, prefixes, clock=clock, raw=raw)


def parse_message(content: object, prefixes: InstallationPrefixes, *, clock: Clock, raw: bytes) -> Frame:
    """Return the same for any parsed JSON."""
    try:
        message = as_object(content, what="message")
        stream, data = optional_text(message, "stream"), message.get("data")
        if stream is None:
            raise WireError("the message names no stream")  # noqa: TRY301 - all unreadable messages end in one place
        if data is None:
            return NullFrame()
        stated = as_object(data, what="data")
        if stream != TRADE_UPDATES:
            return ControlFrame(stream=stream, data=stated)
        return parse_trade_update(stated, prefixes, clock=clock, raw=raw)
    except WireError as error:
        return UnreadableReport(raw=raw, error=str(error))


def is_authorized(frame: ControlFrame) -> bool:
    """Return whether the venue accepted the key."""
    return frame.data.get("status") == "authorized"


def is_listening(frame: ControlFrame) -> bool:
    """Whether the venue will send trade updates."""
    try:
        return TRADE_UPDATES in as_list(frame.data.get("streams"), what="streams")
    except WireError:
        return False


def _frame(content: object) -> str:
    return orjson.dumps(content).decode()
