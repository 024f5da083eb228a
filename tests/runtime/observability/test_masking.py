"""Secrets are masked in every form in which a text may contain them, and nothing else is."""

import json
import re
import string
from collections.abc import Callable, Sequence
from time import process_time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.observability.masking import SecretMask
from runtime.settings.secret_texts import secrets_of_url

Encoding = Callable[[str], str]

URL_FORMS: Sequence[Encoding] = (
    lambda text: text,
    quote,
    lambda text: quote(text, safe=""),
    lambda text: quote(quote(text, safe=""), safe=""),
    quote_plus,
    lambda text: re.sub(r"%[0-9A-F]{2}", lambda hexadecimal: hexadecimal[0].lower(), quote(text, safe="")),
)
ESCAPES: Sequence[Encoding] = (
    lambda text: repr(text)[1:-1],
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    lambda text: repr(bytes_of(text))[2:-1],
    lambda text: text.encode("unicode_escape").decode(),
    lambda text: repr(ValueError(text))[len("ValueError('") : -len("')")],
)
PASSWORDS = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"], exclude_characters="⟪⟫"),
        st.sampled_from("\\\"'%&@:/?# +\n\t*.[]()é€𝄞"),
        st.sampled_from(string.ascii_letters),
    ),
    min_size=1,
    max_size=24,
)


def bytes_of(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


@given(secret=PASSWORDS, form=st.sampled_from(URL_FORMS), escapes=st.lists(st.sampled_from(ESCAPES), max_size=3))
def test_a_secret_is_masked_in_any_output(secret: str, form: Encoding, escapes: Sequence[Encoding]) -> None:
    written = form(secret)
    for escape in escapes:
        written = escape(written)

    assert SecretMask([secret])(f"⟪{written}⟫") == "⟪***⟫"


@given(secret=PASSWORDS, text=st.text())
@settings(max_examples=30)
def test_a_text_without_the_secret_stays_as_it_is(secret: str, text: str) -> None:
    masked = SecretMask([f"{secret}-9f1c7a90b3e2"])(text)

    assert masked == text


def test_a_secret_that_is_a_part_of_another_does_not_uncover_the_rest() -> None:
    assert SecretMask(["abc", "abc/def"])("postgres: abc/def, abc") == "postgres: ***, ***"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://user:p%40ss@host/name", 'password authentication failed: "p@ss"'),
        ("postgresql://user:p%40ss@host/name", "postgresql://user:p%40ss@host/name"),
        ("redis://:a%22b%5Cc@host/0", '{"error": "AUTH a\\"b\\\\c"}'),
        ("redis://host/0?password=hid%20den", "AUTH hid den"),
        ("redis://host/0?password=hid+den", "AUTH hid den"),
        ("postgresql://host/name?sslpassword=hidden", "hidden"),
        ("wss://venue.example/stream?api_key=hidden&feed=1", "GET /stream?api_key=hidden&feed=1"),
        ("https://token@issuer.example/jwks", "401, url='https://token@issuer.example/jwks'"),
        ("https://user:hidden@issuer.example/jwks", "Authorization: Basic dXNlcjpoaWRkZW4="),
    ],
)
def test_secrets_in_an_address_are_masked_in_the_drivers_form(url: str, said: str) -> None:
    masked = SecretMask(list(secrets_of_url(url)))(said)

    assert "***" in masked
    for part in ("p@ss", "p%40ss", 'a\\"b', "hid den", "hidden", "token", "aGlkZGVu"):
        assert part not in masked


def test_the_user_host_and_options_of_a_server_stay_readable() -> None:
    url = "postgresql://fillwire:hidden@db.example/orders?sslmode=require"

    assert SecretMask(list(secrets_of_url(url)))(url) == "postgresql://fillwire:***@db.example/orders?sslmode=require"


@pytest.mark.parametrize("filler", ["\\", "%25", "a", " ", "\n "])
def test_masking_takes_no_longer_for_a_line_of_a_client(filler: str) -> None:
    mask = SecretMask(["\\\"' \n%@", "a@b", "@"])
    line = filler * (16_384 // len(filler))

    began = process_time()
    mask(line)

    assert process_time() - began < 2
