"""Scopes in the claims of several issuers: their union, and none from unreadable claims."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.auth.scope_claims import InvalidScopesError, read_scopes


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({}, set()),
        ({"scope": "orders:read orders:place"}, {"orders:read", "orders:place"}),
        ({"scope": " orders:read  orders:place "}, {"orders:read", "orders:place"}),
        ({"scope": ["orders:read", "orders:place"]}, {"orders:read", "orders:place"}),
        ({"scp": "orders:read orders:place"}, {"orders:read", "orders:place"}),
        ({"scp": ["orders:read"]}, {"orders:read"}),
        ({"roles": ["operator"]}, {"operator"}),
        ({"permissions": ["orders:cancel"]}, {"orders:cancel"}),
        (
            {"scope": "openid orders:read", "scp": [], "roles": ["orders:place"], "permissions": ["orders:cancel"]},
            {"openid", "orders:read", "orders:place", "orders:cancel"},
        ),
        ({"scope": ["orders:read operator"]}, {"orders:read operator"}),
        ({"scope": "orders:read", "roles": "operator"}, {"orders:read"}),
        ({"scope": "orders:read", "roles": ["operator", 5]}, {"orders:read"}),
        ({"scope": "orders:read", "roles": {"operator": True}}, {"orders:read"}),
        ({"permissions": [["operator"]], "roles": None}, set()),
        ({"Scope": "operator", "realm_access": {"roles": ["operator"]}}, set()),
    ],
)
def test_scopes_are_the_union_of_the_claims_that_can_be_read(claims: dict[str, object], scopes: set[str]) -> None:
    assert read_scopes(claims) == scopes


@pytest.mark.parametrize("name", ["scope", "scp"])
@pytest.mark.parametrize("value", [None, 5, True, {"operator": True}, [5], ["operator", None], [["operator"]]])
def test_a_token_whose_scope_cannot_be_read_is_refused(name: str, value: object) -> None:
    with pytest.raises(InvalidScopesError):
        read_scopes({"permissions": ["orders:read"], name: value})


@given(
    st.dictionaries(
        st.sampled_from(["roles", "permissions"]),
        st.none()
        | st.integers()
        | st.text()
        | st.lists(st.integers() | st.text())
        | st.dictionaries(st.text(), st.text()),
    )
)
def test_roles_of_any_form_add_only_items_of_a_list(claims: dict[str, object]) -> None:
    listed = [item for value in claims.values() if isinstance(value, list) for item in value]

    assert read_scopes(claims) <= {item for item in listed if isinstance(item, str)}
