"""The time-outs of a session, which a role sets and a process makes sure of."""

from collections.abc import Mapping
from dataclasses import dataclass

CLIENT_CHECK_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """Time-outs of statements, locks and idle transactions at the server."""

    statement_timeout_seconds: float = 5.0
    lock_timeout_seconds: float = 1.5
    idle_in_transaction_timeout_seconds: float = 10.0

    @property
    def durations(self) -> Mapping[str, str]:
        """PostgreSQL's settings, in milliseconds."""
        return {
            "statement_timeout": _milliseconds(self.statement_timeout_seconds),
            "lock_timeout": _milliseconds(self.lock_timeout_seconds),
            "idle_in_transaction_session_timeout": _milliseconds(self.idle_in_transaction_timeout_seconds),
            # A statement whose caller is gone (killed, or timed out) ends soon, and holds no lock and no old row.
            "client_connection_check_interval": _milliseconds(CLIENT_CHECK_SECONDS),
        }

    @property
    def role_settings(self) -> Mapping[str, str]:
        """Return the settings of our roles. No JIT: compiling a statement costs more than running any of ours."""
        return {**self.durations, "jit": "off"}

    @property
    def ensuring(self) -> str:
        """Return the statement with which a session begins.

        It sets what the role (or the database, or the server) does not set, or sets longer. Our roles set everything:
        then the session has no state, and a pooler may run its next transaction on another connection.
        """
        values = ", ".join(f"('{name}', '{duration}')" for name, duration in self.durations.items())
        return f"""
            SELECT set_config(w.name, w.value, false) FROM (VALUES {values}) AS w (name, value)
            WHERE current_setting(w.name)::interval NOT BETWEEN '1 ms'::interval AND w.value::interval
            UNION ALL SELECT set_config('jit', 'off', false) WHERE current_setting('jit')::bool
        """  # noqa: S608 - our own names and numbers


def _milliseconds(seconds: float) -> str:
    return f"{round(seconds * 1_000)}ms"
