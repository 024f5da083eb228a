"""TLS in front of a PostgreSQL without it, as the proxies of providers have, and the authority that vouches for it."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

READ_BYTES = 65_536
SSL_REQUEST_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFront:
    """Port on this machine, and the self-signed certificate."""

    port: int
    certificate: Path


@asynccontextmanager
async def tls_front(url: str, folder: Path, *, name: str = "localhost") -> AsyncIterator[TlsFront]:
    """Serve TLS in front of the server at the URL, with a self-signed certificate for `name`."""
    certificate, key = make_certificate(folder, name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    target = urlsplit(url)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there: asyncio.StreamWriter | None = None
        try:
            await reader.readexactly(SSL_REQUEST_BYTES)
            writer.write(b"S")
            await writer.start_tls(context)
            source, there = await asyncio.open_connection(target.hostname, target.port)
            await asyncio.gather(_pump(reader, there), _pump(source, writer))
        except (OSError, asyncio.IncompleteReadError):
            pass  # A client that does not trust the certificate.
        finally:
            writer.transport.abort()
            if there is not None:
                there.transport.abort()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield TlsFront(port=server.sockets[0].getsockname()[1], certificate=certificate)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(READ_BYTES):
        sink.write(data)
        await sink.drain()
    sink.transport.abort()


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Create a self-signed certificate and its key: files in the folder."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "server.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "server.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return folder / "server.crt", folder / "server.key"
