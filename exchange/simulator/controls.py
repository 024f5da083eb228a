"""The controls under /simulator: settings, scripts and records here, orders in `OrderControls`.

They work while /v2 is down. Each requires the venue's key and secret, as /v2 does, since they fill and change
orders. Web pages get none, even with the key.
"""

from collections.abc import Callable

from aiohttp import web

from exchange.simulator.answers import json_answer, refused_answer
from exchange.simulator.browsers import refuse_pages
from exchange.simulator.clock import CLOCK_OFFSET_MAX_SECONDS
from exchange.simulator.journal import READ_DEFAULT_ENTRIES, READ_MAX_ENTRIES, Journal, entry_json
from exchange.simulator.keys import VenueKeys
from exchange.simulator.listing import Listing
from exchange.simulator.order_controls import ORDER_FOLDER, Handler, OrderControls
from exchange.simulator.refusals import Code, VenueRefusalError, refusal
from exchange.simulator.request_log import RequestLog
from exchange.simulator.requests import parse_json, parse_limit, parse_object
from exchange.simulator.scripted_answers import ScriptedAnswers
from exchange.simulator.settings_changes import Flag, NumberRange, SettingInvalidError, checked_changes
from exchange.simulator.stream import TradeUpdates
from exchange.simulator.venue import SimulatedVenue

HOLD_SLOT_MAX_SECONDS = 3600
_CLOCK_OFFSET = NumberRange(-CLOCK_OFFSET_MAX_SECONDS, CLOCK_OFFSET_MAX_SECONDS)


class Controls:
    """Answers every request under /simulator."""

    def __init__(
        self,
        venue: SimulatedVenue,
        *,
        keys: VenueKeys,
        updates: TradeUpdates,
        journal: Journal,
        scripts: ScriptedAnswers,
        log: RequestLog,
        new_id: Callable[[], str],
        listening_host: str,
    ) -> None:
        self._venue = venue
        self._keys = keys
        self._updates = updates
        self._journal = journal
        self._scripts = scripts
        self._log = log
        self._listening_host = listening_host
        self._orders = OrderControls(venue, new_id=new_id)
        self._handlers: dict[tuple[str, str], Handler] = {
            ("GET", "/simulator/faults"): self._get_faults,
            ("PUT", "/simulator/faults"): self._put_faults,
            ("GET", "/simulator/matching"): self._get_matching,
            ("PUT", "/simulator/matching"): self._put_matching,
            ("POST", "/simulator/disconnect"): self._disconnect,
            ("PUT", "/simulator/clock"): self._put_clock,
            ("PUT", "/simulator/identity"): self._put_identity,
            ("PUT", "/simulator/answers"): self._put_answers,
            ("PUT", "/simulator/listing"): self._put_listing,
            ("GET", "/simulator/journal"): self._read_journal,
            ("GET", "/simulator/requests"): self._read_requests,
            **self._orders.handlers,
        }

    async def handle(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        """Answers one request; `path` is without the query. A wrong setting is a 400 that names its key."""
        try:
            refuse_pages(request.headers, listening_host=self._listening_host)
            self._keys.check(request.headers)
            return await self._handler(request.method, path)(request)
        except VenueRefusalError as error:
            return refused_answer(error)
        except SettingInvalidError as error:
            return refused_answer(refusal(Code.BAD_REQUEST, str(error)))

    def _handler(self, method: str, path: str) -> Handler:
        if method == "DELETE" and path.startswith(ORDER_FOLDER):
            return self._orders.forget
        handler = self._handlers.get((method, path))
        if handler is None:
            raise refusal(Code.NOT_FOUND, f"unknown control: {method} {path}")
        return handler

    async def _get_faults(self, _request: web.BaseRequest) -> web.StreamResponse:
        return json_answer(self._venue.faults.as_json())

    async def _put_faults(self, request: web.BaseRequest) -> web.StreamResponse:
        changes = parse_object(await request.read())
        faults = self._venue.faults.changed(changes)
        self._venue.set_faults(faults, is_reseeded="seed" in changes)
        if faults.down:
            self._updates.disconnect(hold_slot_seconds=0)
        return json_answer(faults.as_json())

    async def _get_matching(self, _request: web.BaseRequest) -> web.StreamResponse:
        return json_answer(self._venue.trading.matching.as_json())

    async def _put_matching(self, request: web.BaseRequest) -> web.StreamResponse:
        self._venue.trading.set_matching(self._venue.trading.matching.changed(parse_object(await request.read())))
        return json_answer(self._venue.trading.matching.as_json())

    async def _disconnect(self, request: web.BaseRequest) -> web.StreamResponse:
        rules = {"hold_slot_seconds": NumberRange(0, HOLD_SLOT_MAX_SECONDS)}
        asked = checked_changes(parse_object(await request.read()), rules)
        hold_slot_seconds = asked.get("hold_slot_seconds", 0)
        assert isinstance(hold_slot_seconds, int | float)  # noqa: S101  # The rule above has checked it.
        was_connected = self._updates.disconnect(hold_slot_seconds=hold_slot_seconds)
        return json_answer({"disconnected": int(was_connected)})

    async def _put_clock(self, request: web.BaseRequest) -> web.StreamResponse:
        given = parse_object(await request.read()).get("offset_seconds")
        offset_seconds = _CLOCK_OFFSET.check("offset_seconds", given)
        self._venue.set_clock_offset(offset_seconds)
        return json_answer({"offset_seconds": offset_seconds})

    async def _put_identity(self, request: web.BaseRequest) -> web.StreamResponse:
        self._venue.checks_identity = Flag().check("check", parse_object(await request.read()).get("check"))
        return json_answer({"check": self._venue.checks_identity})

    async def _put_answers(self, request: web.BaseRequest) -> web.StreamResponse:
        return json_answer({"answers": self._scripts.replace(parse_json(await request.read()))})

    async def _put_listing(self, request: web.BaseRequest) -> web.StreamResponse:
        self._venue.listing = Listing.read(parse_object(await request.read()))
        return json_answer(self._venue.listing.as_json())

    async def _read_journal(self, request: web.BaseRequest) -> web.StreamResponse:
        """Return the entries after a number; `is_complete` is false when more of them follow."""
        limit = parse_limit(request.query, "limit", default=READ_DEFAULT_ENTRIES, maximum=READ_MAX_ENTRIES)
        after = _after(request)
        entries = self._journal.read(after=after, limit=limit)
        last = len(self._journal)
        return json_answer(
            {
                "entries": [entry_json(entry) for entry in entries],
                "last": last,
                "is_complete": after + len(entries) >= last,
            }
        )

    async def _read_requests(self, request: web.BaseRequest) -> web.StreamResponse:
        """Return the requests after a number; `first` is the oldest one stored."""
        limit = parse_limit(request.query, "limit", default=READ_DEFAULT_ENTRIES, maximum=READ_MAX_ENTRIES)
        return json_answer(self._log.read(after=_after(request), limit=limit))


def _after(request: web.BaseRequest) -> int:
    text = request.query.get("after", "0")
    if not (text.isascii() and text.isdigit()):
        raise refusal(Code.BAD_REQUEST, "after must be the number of an entry")
    return int(text)
