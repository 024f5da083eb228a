"""The place of a host, according to its text: this machine, a private network, or anywhere."""

from collections.abc import Mapping

import pytest

from runtime.settings.hosts import is_loopback, is_plain_postgres, is_plain_redis, is_private

HERE = ["127.0.0.1", "127.8.9.1", "::1", "localhost", "LocalHost.", "api.localhost", "127.1", "2130706433", "0x7f.1"]
HERE += ["::ffff:127.0.0.1"]
NEAR = ["10.1.2.3", "172.16.0.1", "192.168.1.1", "fd00::1", "fe80::1%eth0", "100.64.0.1", "::ffff:10.0.0.1"]
NEAR += ["postgres", "simulated_exchange", "db.local", "pg.orders.svc.cluster.local", "ip-10-0-0-1.ec2.internal"]
NEAR += ["nas.home.arpa", "DB.Local."]
FAR = ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "134744072", "8.8.2056", "0x08080808", "venue.example"]
FAR += ["db\u3002example", "db\uff0eexample", "db\uff61example"]  # Resolvers receive db.example (RFC 3490, 3.1).
FAR += ["localhost.example", "notlocalhost.com", "xlocal.com", "db.internal.example", "172.32.0.1", "192.169.0.1"]


@pytest.mark.parametrize("host", HERE)
def test_a_host_of_this_machine_is_loopback_and_private(host: str) -> None:
    assert is_loopback(host)
    assert is_private(host)


@pytest.mark.parametrize("host", NEAR)
def test_a_host_of_a_private_network_is_private_and_not_loopback(host: str) -> None:
    assert is_private(host)
    assert not is_loopback(host)


@pytest.mark.parametrize("host", FAR)
def test_any_other_host_is_neither(host: str) -> None:
    assert not is_private(host)
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("url", "environment"),
    [
        ("postgresql://user@127.0.0.1/orders", {}),
        ("postgresql://user@postgres:5432/orders", {}),
        ("postgresql://user@10.0.0.1:5432,10.0.0.2:5432/orders", {}),
        ("postgresql://user@/orders?host=/run/postgresql", {}),
        ("postgresql://user@%2Frun%2Fpostgresql/orders", {}),
        ("postgresql:///orders", {}),
        ("postgresql:///orders", {"PGHOST": "/run/postgresql"}),
        ("postgresql://user@db.example/orders?sslmode=require", {}),
        ("postgresql://user@db.example/orders?sslmode=disable&sslmode=verify-full", {}),
        ("postgresql://user@db.example/orders", {"PGSSLMODE": "verify-ca", "PGSSLROOTCERT": "/dev/null"}),
        ("postgresql://user@10.0.0.1/orders", {"PGHOST": "db.example"}),
    ],
)
def test_postgresql_with_tls_or_near_by_is_not_plain(url: str, environment: Mapping[str, str]) -> None:
    assert not is_plain_postgres(url, environment)


@pytest.mark.parametrize(
    ("url", "environment"),
    [
        ("postgresql://user@db.example/orders", {}),
        ("postgres://user@db.example:5432/orders?sslmode=prefer", {}),
        ("postgres://user@db.example/orders?sslmode=allow", {"PGSSLMODE": "require"}),
        ("postgresql://user@10.0.0.1,db.example/orders", {}),
        ("postgresql://user@[2001:4860:4860::8888]:5432/orders", {}),
        ("postgresql://user@/orders?host=db.example", {}),
        ("postgresql:///orders?host=/run/postgresql,db.example", {}),
        ("postgresql:///orders", {"PGHOST": "db.example"}),
        ("postgresql:///orders?service=main", {"PGHOST": "/run/postgresql"}),
        ("postgresql:///orders", {"PGSERVICE": "main"}),
        ("postgresql://10.0.0.1@db.example/orders", {}),
    ],
)
def test_postgresql_elsewhere_without_required_tls_is_plain(url: str, environment: Mapping[str, str]) -> None:
    assert is_plain_postgres(url, environment)


@pytest.mark.parametrize(
    ("url", "is_plain"),
    [
        ("redis://:password@127.0.0.1:6379/0", False),
        ("redis://valkey/0", False),
        ("redis:///0", False),
        ("rediss://cache.example/0", False),
        ("unix:///run/valkey.sock", False),
        ("redis://:password@cache.example/0", True),
        ("redis:///0?host=cache.example", True),
        ("redis://cache%2Eexample/0", True),
        ("redis:///0?host=cache.example&host=localhost", True),
        ("redis:///0?host=cache%252Eexample", True),
        ("redis://10.0.0.1@cache.example/0", True),
    ],
)
def test_redis_is_plain_only_elsewhere_and_without_tls(url: str, is_plain: bool) -> None:
    assert is_plain_redis(url) is is_plain
