"""Under which account something may begin: an order, a halt, limits.

Every way in asks here, so that whatever account can trade can be halted alone.
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

        Raises UnavailableError, but never for an id that the rule allows: nothing is read for it.
        """
        if self.rule.allows(account_id):
            return
        if not (is_account_id(account_id) and account_id in await self.reader.known([account_id])):
            raise InvalidAccountError(account_id)
