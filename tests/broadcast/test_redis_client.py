"""Addresses of Redis: those that no client could use are refused in a sentence, and ours is how clients work."""

from pathlib import Path

import pytest
from redis.asyncio.connection import SSLConnection, UnixDomainSocketConnection

from broadcast.redis_client import check_redis_url, redis_pool

OURS = {"socket_timeout": 1.5, "socket_keepalive": True, "max_connections": 7}


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:6379/0", "must begin with redis://"),
        ("127.0.0.1:6379", "must begin with redis://"),
        ("redis://127.0.0.1:port/0", "a number as its port"),
        ("redis://127.0.0.1:0/0", "must begin with redis://"),
        ("redis://:hid@den@127.0.0.1/0", "%40"),
        ("redis://:hid#den@127.0.0.1/0", "%23"),
        ("redis://127.0.0.1/hidden", "number of a database"),
        ("redis://127.0.0.1?db=hidden", "number of a database"),
        ("redis://127.0.0.1/0?hidden=1", "an option that is not one of db, username"),
        ("redis://127.0.0.1/0?db", "name=value"),
        ("redis://127.0.0.1/0?db=1&db=2", "an option twice"),
        ("redis://127.0.0.1/0?ssl_cert_reqs=none", "needs rediss://"),
        ("rediss://127.0.0.1/0?ssl_cert_reqs=hidden", "ssl_cert_reqs that is not none or"),
        ("rediss://127.0.0.1/0?ssl_ca_certs=/hidden/ca.pem", "ssl_ca_certs that names nothing"),
        ("unix://redis.sock", "three slashes"),
        ("unix://run/redis.sock", "three slashes"),
        ("unix:///", "three slashes"),
        ("unix://:hidden@/run/redis.sock?ssl_cert_reqs=none", "needs rediss://"),
    ],
)
def test_an_address_that_no_client_could_use_is_refused_without_showing_it(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=r"^(must|has) ") as refused:
        check_redis_url(url)

    assert words in str(refused.value)
    assert "hid" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://user:p%40ss@h:7/3", {"host": "h", "port": 7, "db": 3, "username": "user", "password": "p@ss"}),
        ("redis://h", {"host": "h"}),
        ("unix://:secret@/run/redis.sock?db=2", {"path": "/run/redis.sock", "db": 2, "password": "secret"}),
        ("unix:///run/redis.sock", {"path": "/run/redis.sock"}),
        ("rediss://h/0?ssl_cert_reqs=none&client_name=me", {"ssl_cert_reqs": "none", "client_name": "me"}),
    ],
)
def test_where_redis_is_and_who_connects_are_taken_from_the_address(url: str, expected: dict[str, object]) -> None:
    check_redis_url(url)
    pool = redis_pool(url, **OURS)

    assert expected.items() <= pool.connection_kwargs.items()
    assert pool.make_connection()  # type: ignore[no-untyped-call] # every option is one of the connection's


@pytest.mark.parametrize("address", ["redis://h/0", "rediss://h/0", "unix:///run/redis.sock"])
def test_client_options_in_the_address_are_ignored(address: str) -> None:
    options = (
        "protocol=3&decode_responses=true&encoding=latin-1&socket_timeout=9&socket_connect_timeout=9&timeout=9&"
        "socket_keepalive=no&retry_on_timeout=yes&health_check_interval=9&max_connections=1&encoding_errors=ignore"
    )
    url = f"{address}?{options}"

    check_redis_url(url)
    pool = redis_pool(url, **OURS)
    used = pool.connection_kwargs

    assert used["protocol"] == 2
    assert used["socket_timeout"] == OURS["socket_timeout"]
    assert pool.max_connections == OURS["max_connections"]
    assert not {"decode_responses", "encoding", "encoding_errors", "timeout", "retry_on_timeout"} & used.keys()
    assert pool.make_connection()  # type: ignore[no-untyped-call] # untyped in the library


def test_a_connection_is_of_the_kind_that_the_address_names(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.touch()
    url = f"rediss://h/0?ssl_ca_certs={authority}"

    check_redis_url(url)

    assert redis_pool(url).connection_class is SSLConnection
    assert redis_pool(f"unix://{tmp_path}/redis.sock").connection_class is UnixDomainSocketConnection
