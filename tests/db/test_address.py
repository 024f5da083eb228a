"""The address of a database: the options of libpq, and an error message for everything else."""

from pathlib import Path

import pytest

from db.address import Host, read_address
from db.address_options import AddressError

ONE = "postgresql://user:password@db.example/orders"


@pytest.fixture(autouse=True)
def _no_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the certificates of the user that runs the tests."""
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://u@db.example/orders", [("db.example", 5432)]),
        ("postgres://u@db.example:5433/orders", [("db.example", 5433)]),
        ("postgresql+asyncpg://u:p@10.0.0.1/orders", [("10.0.0.1", 5432)]),
        ("postgresql://u@[::1]:5433/orders", [("::1", 5433)]),
        ("postgresql://u@a:1,[::1]:2,b/orders", [("a", 1), ("::1", 2), ("b", 5432)]),
        ("postgresql://u@a,b/orders?port=1,2", [("a", 1), ("b", 2)]),
        ("postgresql://u@a,b/orders?port=7", [("a", 7), ("b", 7)]),
        ("postgresql:///orders?host=a,/run/postgresql", [("a", 5432), ("/run/postgresql", 5432)]),
        ("postgresql:///orders?host=::1&port=7", [("::1", 7)]),
        ("postgresql://u@%2Frun%2Fpostgresql:7/orders", [("/run/postgresql", 7)]),
        ("postgresql:///orders", []),
    ],
)
def test_hosts_are_read_from_wherever_libpq_reads_them(url: str, hosts: list[tuple[str, int]]) -> None:
    assert list(read_address(url, {}).hosts) == [Host(*host) for host in hosts]


def test_the_environment_names_the_hosts_that_the_url_leaves_open() -> None:
    environment = {"PGHOST": "a,b", "PGPORT": "7,8"}

    assert read_address("postgresql:///orders", environment).hosts == [Host("a", 7), Host("b", 8)]
    assert read_address("postgresql://u@c/orders", {"PGHOST": "a"}).hosts == [Host("c", 5432)]
    assert not read_address("postgresql:///orders?service=main", environment).hosts


@pytest.mark.parametrize(
    "options",
    [
        "gssencmode=disable",
        "gssencmode=prefer&channel_binding=prefer&sslcompression=0&sslsni=1&sslcertmode=allow",
        "connect_timeout=10",
        "keepalives=1&keepalives_idle=30&keepalives_interval=10&keepalives_count=3&tcp_user_timeout=5000",
        "application_name=psql&fallback_application_name=psql&client_encoding=UTF8",
        "load_balance_hosts=random",
        "min_protocol_version=3.0&max_protocol_version=latest",
        "channel_binding=",
    ],
)
def test_options_of_libpq_unknown_to_the_driver_are_never_sent_to_the_server(options: str) -> None:
    assert read_address(f"{ONE}?{options}", {}).url == "postgresql://user:password@/orders"


@pytest.mark.parametrize(
    ("options", "passed"),
    [
        ("sslmode=require", "sslmode=require"),
        ("options=endpoint%3Dep-cool-1", "options=endpoint%3Dep-cool-1"),
        ("options=-c%20a%3Db+c", "options=-c%20a%3Db%2Bc"),
        ("target_session_attrs=read-write&connect_timeout=3", "target_session_attrs=read-write"),
        ("user=system&dbname=system", "dbname=system&user=system"),
        ("sslmode=disable&sslmode=require", "sslmode=require"),
    ],
)
def test_options_of_the_driver_are_passed_on(options: str, passed: str) -> None:
    assert read_address(f"{ONE}?{options}", {}).url == f"postgresql://user:password@/orders?{passed}"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://user@db.example/orders", "must begin with postgresql://"),
        ("postgresql://user@db.example:port/orders", "must begin with postgresql://"),
        ("postgresql://user@db.example:0/orders", "its port a number"),
        ("postgresql://user@db.example:65536/orders", "its port a number"),
        ("postgresql://user@a,,b/orders", "must begin with postgresql://"),
        ("postgresql://user:hid@den@db.example/orders", "%40"),
        ("postgresql://user:hid#den@db.example/orders", "%23"),
        ("postgresql://user:hid/den@db.example/orders", "must begin with postgresql://"),
        ("postgresql://user@a,b,c/orders?port=1,2", "as many ports as hosts"),
        (f"{ONE}?sslmode", "name=value"),
        (f"{ONE}?pgbouncer=true", "pgbouncer, which libpq does not know either: leave it out, and set DATABASE_STATEM"),
        (f"{ONE}?schema=hidden", "schema, which libpq does not know either: write options=-csearch_path"),
        (f"{ONE}?ssl=true", "ssl, which libpq does not know either: write sslmode=require"),
        (f"{ONE}?pool_mode=transaction", "pool_mode, which"),
        (f"{ONE}?statement_timeout=3", "statement_timeout, which"),
        (f"{ONE}?hid%0Aden=1", "whose name is no word"),
        (f"{ONE}?require_auth=scram-sha-256", "require_auth, which Fillwire's driver cannot fulfil"),
        (f"{ONE}?gssencmode=require", "gssencmode that is not disable or prefer"),
        (f"{ONE}?sslmode=hidden", "sslmode that is not disable or"),
        (f"{ONE}?target_session_attrs=hidden", "target_session_attrs that is not any or"),
        (f"{ONE}?client_encoding=LATIN1", "client_encoding that is not"),
        (f"{ONE}?connect_timeout=hidden", "connect_timeout that is no whole number"),
        (f"{ONE}?keepalives_idle=hidden", "keepalives_idle that is no whole number"),
        (f"{ONE}?sslmode=verify-full&sslrootcert=/hidden/ca.pem", "sslrootcert that names no file"),
        (f"{ONE}?sslmode=verify-ca", "verify-ca, which needs sslrootcert"),
        (f"{ONE}?sslmode=require&sslrootcert=system", "only sslmode=verify-full is safe"),
        (f"{ONE}?sslmode=prefer&channel_binding=require", "requires channel binding"),
    ],
)
def test_what_cannot_be_fulfilled_is_refused_in_one_sentence_that_shows_no_value(url: str, words: str) -> None:
    with pytest.raises(AddressError) as refused:
        read_address(url, {})

    assert words in str(refused.value)
    assert "hid" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "options",
    [
        "sslmode=verify-full",
        "sslrootcert=system",
        "sslmode=verify-full&sslrootcert=system",
        "channel_binding=require",
        "sslmode=require&channel_binding=require",
    ],
)
def test_a_server_is_verified_by_this_machines_authorities_where_no_others_are_named(options: str) -> None:
    address = read_address(f"{ONE}?{options}", {})

    assert address.trusts_system
    assert address.encrypts
    assert "sslmode=verify-full" in address.url
    assert "sslrootcert" not in address.url


def test_libpqs_own_file_of_authorities_is_used_when_it_is_there(tmp_path: Path) -> None:
    (tmp_path / ".postgresql").mkdir()
    (tmp_path / ".postgresql" / "root.crt").touch()

    assert not read_address(f"{ONE}?sslmode=verify-full", {}).trusts_system
    assert not read_address(f"{ONE}?sslmode=verify-ca", {}).trusts_system


def test_the_environment_decides_about_tls_where_the_url_does_not() -> None:
    assert read_address(ONE, {"PGSSLMODE": "require"}).encrypts
    assert read_address(ONE, {"PGSSLMODE": "verify-full"}).trusts_system
    assert read_address(ONE, {"PGSSLROOTCERT": "system"}).trusts_system
    assert not read_address(f"{ONE}?sslmode=prefer", {"PGSSLMODE": "require"}).encrypts


@pytest.mark.parametrize(("text", "seconds"), [("3", 3.0), ("0", None), ("-1", None), ("", None)])
def test_a_time_for_one_server_of_nothing_is_no_limit(text: str, seconds: float | None) -> None:
    assert read_address(f"{ONE}?connect_timeout={text}", {}).connect_timeout_seconds == seconds
