"""The venue client order id: the same for the same intent, another one for any other, and recognized as ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.model.order_identity import (
    VENUE_CLIENT_ORDER_ID_MAX_CHARACTERS,
    InstallationPrefixes,
    derive_venue_client_order_id,
    is_installation_prefix,
)

OLD_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
TEXTS = st.text(alphabet=st.characters(codec="utf-8"), max_size=20)


def derived(account_id: str, client_order_id: str, *, prefix: str = "fw") -> str:
    return derive_venue_client_order_id(prefix=prefix, account_id=account_id, client_order_id=client_order_id)


@pytest.mark.parametrize(
    ("prefix", "account_id", "client_order_id", "expected"),
    [
        ("fw", "alice", "intent-1", "fw-4gjo4jyn7idgrt2romatjh6kajkucozy"),
        ("fw", "bob", "intent-1", "fw-a43yrkyx3gmbjpsdiaopnotdmkis62h5"),
        ("fw", "alice:x", "y", "fw-nfec6uaz3l2udgfkhstgh5nt4g6a6k2p"),
        ("fw", "alice", "x:y", "fw-p4mkksyjjuzdr6sdbpkgyczlhlzy3syt"),
        ("fw", "zoë", "1", "fw-pgkd2wbtpfd2qioxl6zfymw24x3dpdcm"),
        ("fwabcdefghijklm", "a" * 128, "x" * 48, "fwabcdefghijklm-456gzo5ujgahbuhhjdpcfn3db6hcxjfl"),
    ],
)
def test_the_id_never_changes_for_an_account_and_a_client_order_id(
    prefix: str, account_id: str, client_order_id: str, expected: str
) -> None:
    assert derived(account_id, client_order_id, prefix=prefix) == expected


@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_two_intents_never_share_an_id_with_any_separators(
    account: str, client_order_id: str, other_account: str, other_client_order_id: str
) -> None:
    is_same = (account, client_order_id) == (other_account, other_client_order_id)

    assert (derived(account, client_order_id) == derived(other_account, other_client_order_id)) == is_same


@given(st.from_regex(r"[a-z][a-z0-9]{1,14}", fullmatch=True), TEXTS, TEXTS)
def test_every_id_fits_the_venue_and_is_recognized_only_by_its_prefix(
    prefix: str, account: str, client_order_id: str
) -> None:
    name = derived(account, client_order_id, prefix=prefix)

    assert len(name) <= VENUE_CLIENT_ORDER_ID_MAX_CHARACTERS
    assert is_installation_prefix(prefix)
    assert InstallationPrefixes(current=prefix).is_ours(name)
    assert not InstallationPrefixes(current=f"{prefix[:13]}0z").is_ours(name) or prefix == f"{prefix[:13]}0z"


def test_orders_of_a_former_prefix_and_of_the_former_scheme_are_still_ours() -> None:
    prefixes = InstallationPrefixes(current="new", former=("old",))

    assert prefixes.is_ours("old-anything")
    assert prefixes.is_ours(OLD_ID)


@pytest.mark.parametrize(
    "name", ["", "fw", "fwx-1", "FW-1", " fw-1", "other-1", OLD_ID.upper(), OLD_ID[:-1], f"{OLD_ID}\n"]
)
def test_any_other_id_is_external(name: str) -> None:
    assert not InstallationPrefixes(current="fw").is_ours(name)


def test_a_random_uuid_of_a_manually_placed_order_is_external() -> None:
    assert not InstallationPrefixes(current="fw").is_ours("9b2d9a0c-6f0d-4a55-8f04-6f9c6c6f0d11")


@pytest.mark.parametrize("text", ["", "f", "1fw", "fW", "f-w", "fw_", "a" * 16, "fw\n", "\u0661fw"])
def test_a_prefix_that_is_ambiguous_is_refused(text: str) -> None:
    assert not is_installation_prefix(text)
