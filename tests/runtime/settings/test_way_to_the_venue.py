"""The proxy to the venue and the authorities that vouch for it, as the environment has them."""

from base64 import b64encode
from pathlib import Path

import pytest

from runtime.observability.masking import SecretMask
from runtime.resources.venue import alpaca_settings
from runtime.settings import SettingsError, load_settings
from tests.support.tls_front import make_certificate


@pytest.mark.parametrize(
    "value",
    [
        "http://proxy:3128",
        "http://proxy.example/",
        "http://[::1]:3128",
        "HTTP://10.0.0.1:8080",
        "http://desk:p%40ss@proxy.example:3128",
        "http://desk:@proxy:3128",
    ],
)
def test_every_form_of_a_proxys_address_is_taken(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("EXCHANGE_PROXY", value)

    assert alpaca_settings(load_settings()).proxy == value


@pytest.mark.parametrize(
    "value",
    [
        "proxy:3128",
        "https://desk:hidden@proxy:3128",
        "socks5://desk:hidden@proxy:1080",
        "http://",
        "http://desk:hidden@",
        "http://desk:hidden@proxy:0",
        "http://desk:hidden@proxy:port",
        "http://desk:hidden@pro xy:3128",
        "http://desk:hidden@pr\u00f6xy:3128",
        "http://desk:hidden@proxy:3128\r\nx-more: 1",
        "http://desk:hidden@a..b:3128",
        "http://desk:hidden@proxy:3128/path",
        "http://desk:hidden@proxy:3128?a=b",
        "http://desk:hidden@proxy:3128#a",
        "http://desk:hidden/more@proxy:3128",
    ],
)
def test_an_address_that_is_no_proxys_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("EXCHANGE_PROXY", value)

    with pytest.raises(SettingsError, match=r"EXCHANGE_PROXY: .*must") as refused:
        load_settings()

    assert "hidden" not in str(refused.value)


def test_the_proxy_may_be_in_a_file_and_its_password_is_never_logged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "proxy"
    file.write_text("http://desk:p%40ss%2Fw0rd@proxy:3128\n")
    monkeypatch.setenv("EXCHANGE_PROXY_FILE", str(file))

    settings = load_settings()

    mask = SecretMask(settings.secrets())
    sent = b64encode(b"desk:p@ss/w0rd").decode()
    for line in ("http://desk:p%40ss%2Fw0rd@proxy:3128", "p@ss/w0rd", f"Proxy-Authorization: Basic {sent}"):
        assert "w0rd" not in mask(line)
        assert sent not in mask(line)
    assert "w0rd" not in repr(settings)
    assert "w0rd" not in repr(alpaca_settings(settings))


def test_a_file_of_authorities_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    certificate, _ = make_certificate(tmp_path, "localhost")
    monkeypatch.setenv("EXCHANGE_CA_FILE", str(certificate))

    assert alpaca_settings(load_settings()).ca_file == str(certificate)


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_file_of_authorities_that_cannot_be_used_ends_the_start_and_says_which(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "authorities.pem"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("EXCHANGE_CA_FILE", str(file))

    with pytest.raises(SettingsError, match=f"EXCHANGE_CA_FILE: {file} cannot be used: "):
        alpaca_settings(load_settings())
