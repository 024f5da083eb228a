"""Scripted answers: answers of a gateway in front of the exchange.

A script selects its requests by method and path, and how many of them. The path is a pattern as in a shell, in which
`*` matches any characters, slashes included; the query is ignored. Of several matching scripts, the first in the list
answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import orjson
from aiohttp import web
from multidict import CIMultiDict

from exchange.simulator.settings_changes import Flag, NumberRange, SettingInvalidError

SCRIPTS_MAX = 1000
TIMES_MAX = 1_000_000

_KEYS = frozenset({"method", "path", "times", "status", "headers", "body", "after_execution"})
_TIMES = NumberRange(1, TIMES_MAX, is_whole=True)
_STATUS = NumberRange(200, 599, is_whole=True)


@dataclass(slots=True, kw_only=True)
class ScriptedAnswer:
    """One script. A status of None closes the connection without an answer.

    A string body is sent unchanged, any other as JSON. With `after_execution` the exchange executes the request first
    and its own answer is lost.
    """

    method: str | None
    path: str
    times_left: int
    status: int | None
    headers: Mapping[str, str]
    body: object
    after_execution: bool

    def matches(self, method: str, path: str) -> bool:
        return self.times_left > 0 and self.method in {None, method} and fnmatchcase(path, self.path)

    def respond(self, request: web.BaseRequest) -> web.Response:
        """Return the answer, or close the request's connection."""
        if self.status is None:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        if isinstance(self.body, str):
            content, content_type = self.body.encode(), "text/html"
        else:
            content, content_type = b"" if self.body is None else orjson.dumps(self.body), "application/json"
        headers = CIMultiDict(self.headers)
        headers.setdefault("Content-Type", content_type)
        return web.Response(body=content, status=self.status, headers=headers)


class ScriptedAnswers:
    """The scripts that are set, in their order."""

    def __init__(self) -> None:
        self._scripts: list[ScriptedAnswer] = []

    def replace(self, scripts: object) -> int:
        """Set the scripts of a control's body in place of those before; returns how many.

        Raises:
            SettingInvalidError: one of them is no script; none is set then.
        """
        if not isinstance(scripts, list) or len(scripts) > SCRIPTS_MAX:
            raise SettingInvalidError(f"the body must be a list of at most {SCRIPTS_MAX} answers")
        self._scripts = [_script(each) for each in scripts]
        return len(self._scripts)

    def take(self, method: str, path: str) -> ScriptedAnswer | None:
        """Return the script that answers this request, and count it; None when there is none."""
        for script in self._scripts:
            if script.matches(method, path):
                script.times_left -= 1
                return script
        return None


def _script(fields: object) -> ScriptedAnswer:
    if not isinstance(fields, dict) or not fields.keys() <= _KEYS:
        raise SettingInvalidError(f"an answer must be an object with keys among {', '.join(sorted(_KEYS))}")
    method, path, headers = fields.get("method"), fields.get("path"), fields.get("headers") or {}
    if not isinstance(path, str) or not isinstance(method, str | None):
        raise SettingInvalidError("path must be a string, and method a string or null for any")
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise SettingInvalidError("headers must be an object of strings")
    if "status" not in fields:
        raise SettingInvalidError("status is required; null closes the connection without an answer")
    status = fields["status"]
    return ScriptedAnswer(
        method=None if method is None else method.upper(),
        path=path,
        times_left=int(_TIMES.check("times", fields.get("times", 1))),
        status=None if status is None else int(_STATUS.check("status", status)),
        headers=headers,
        body=fields.get("body"),
        after_execution=Flag().check("after_execution", fields.get("after_execution", False)),
    )
