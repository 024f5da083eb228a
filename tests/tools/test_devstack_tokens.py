"""Development tokens and the folder that keeps their secret."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jwt
import pytest

from graph.auth.tokens import ExpectedClaims, HmacTokens
from tests.support.processes import running
from tools.devstack.errors import LocalStackError
from tools.devstack.folder import LOCK_NAME, delete_folder, exclusive_use, prepare_folder
from tools.devstack.tokens import ALGORITHM, SECRET_NAME, checked_accounts, mint, signing_secret, write_demo_token


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("TOKEN_SECRET", raising=False)
    path = tmp_path / "local"
    prepare_folder(path)
    return path


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_token_names_its_account_its_scopes_and_its_end() -> None:
    began = int(time.time())

    token = mint(secret="s" * 64, accounts=["desk-1"], scopes=["orders:read", "operator"], ttl_seconds=60)

    claims = jwt.decode(token, "s" * 64, algorithms=[ALGORITHM])
    assert claims["sub"] == "desk-1"
    assert claims["scope"] == "orders:read operator"
    assert claims["exp"] - claims["iat"] == 60
    assert began <= claims["iat"] <= time.time()


def test_a_token_of_several_accounts_names_them_in_the_claim_of_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_ACCOUNT_CLAIM", "accounts")

    token = mint(secret="s" * 64, accounts=checked_accounts(["desk-1", "desk 2"]), scopes=["orders:read"])

    bearer = HmacTokens(secret="s" * 64, expected=ExpectedClaims(account_claim="accounts")).verify(token)
    assert (bearer.subject, bearer.account_ids) == ("desk-1", ("desk-1", "desk 2"))


def test_a_token_is_made_for_no_account_that_could_not_trade(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOKEN_ACCOUNT_CLAIM", raising=False)

    for accounts in (["desk "], [""], ["d\u00e9sk"], ["one", "two"]):
        with pytest.raises(LocalStackError):
            checked_accounts(accounts)

    monkeypatch.setenv("ACCOUNT_PATTERN", "desk-[0-9]+")
    with pytest.raises(LocalStackError, match="ACCOUNT_PATTERN"):
        checked_accounts(["demo"])
    assert checked_accounts(["desk-7"]) == ["desk-7"]


def test_the_stored_token_is_the_demo_accounts_and_only_its_owner_can_read_it(folder: Path) -> None:
    path = write_demo_token(folder)

    claims = jwt.decode(path.read_text().strip(), signing_secret(folder), algorithms=[ALGORITHM])
    assert claims["sub"] == "demo"
    assert claims["scope"] == "orders:read orders:place orders:cancel"
    assert mode(path) == mode(folder / SECRET_NAME) == 0o600
    assert mode(folder) == 0o700


def test_the_secret_stays_the_same_from_run_to_run_and_the_users_own_wins(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert signing_secret(folder) == signing_secret(folder)

    monkeypatch.setenv("TOKEN_SECRET", "the user's own")

    assert signing_secret(folder) == "the user's own"


def test_concurrent_creators_of_the_secret_get_the_same(folder: Path) -> None:
    with ThreadPoolExecutor(max_workers=8) as pool:
        secrets = list(pool.map(signing_secret, [folder] * 32))

    assert len(set(secrets)) == 1
    assert sorted(path.name for path in folder.iterdir()) == [LOCK_NAME, SECRET_NAME]


async def test_a_second_instance_gets_the_user_of_the_folder(folder: Path) -> None:
    hold = (
        "import sys, signal\nfrom pathlib import Path\nfrom tools.devstack.folder import exclusive_use\n"
        "with exclusive_use(Path(sys.argv[1])):\n    print('held', flush=True)\n    signal.pause()"
    )
    async with running(["-c", hold, str(folder)], environment={}) as holder:
        await holder.shows("held", within_seconds=10)

        with pytest.raises(LocalStackError, match=rf"already running here \(pid {holder.pid}\)"), exclusive_use(folder):
            pass
        with pytest.raises(LocalStackError, match="already running here"):
            delete_folder(folder)
        holder.send(signal.SIGKILL)
        await holder.ends(within_seconds=5)

    with exclusive_use(folder):
        assert (folder / LOCK_NAME).read_text() == f"{os.getpid()}\n"


def test_a_folder_with_other_files_is_neither_used_nor_deleted(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").touch()

    with pytest.raises(LocalStackError, match="holds files that are not ours"):
        prepare_folder(tmp_path)
    with pytest.raises(LocalStackError, match="was not made by Fillwire"):
        delete_folder(tmp_path)
    assert (tmp_path / "letter.txt").exists()


def test_a_folder_of_ours_is_deleted(folder: Path) -> None:
    write_demo_token(folder)

    assert delete_folder(folder)
    assert not folder.exists()
    assert not delete_folder(folder)
