"""The accounts under which an order, a halt or limits may be created.

Every entry point checks here, so that any account that can trade can be halted by itself.
"""

from dataclasses import dataclass

from domain.model.accounts import AccountRule, is_account_id
from domain.model.errors import InvalidAccountError
from domain.ports.readers import AccountReader


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountCheck:
    """The rule of the installation, and the accounts that are older than it and keep working."""

    rule: AccountRule
    reader: AccountReader

    async def require(self, account_id: str) -> None:
        """Raise InvalidAccountError unless the rule allows the id or something is stored under it already.

        Raises UnavailableError, but never for an id that the rule allows, for which nothing is read.
        """
        if self.rule.allows(account_id):
            return
        if not (is_account_id(account_id) and account_id in await self.reader.known([account_id])):
            raise InvalidAccountError(account_id)
