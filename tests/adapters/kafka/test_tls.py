"""Kafka is reached over TLS and with a password, and refusals are told at once, without the secret."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from broker_core import Backlog, FairDispatcher, Message, open_dispatcher
from broker_core.errors import BrokerUnavailable
from tests.servers.child import free_ports
from tests.servers.kafka_jars import kafka_jars
from tests.servers.kafka_local import LocalKafka

USER, SECRET = "fair", "canary-of-a-secret"


class SecureKafka(LocalKafka):
    """A broker that listens for TLS with a user and a password too."""

    def __init__(self, jars: Path, issuer: trustme.CA) -> None:
        super().__init__(jars)
        self._certificate = issuer.issue_cert("127.0.0.1")
        (self.secure_port,) = free_ports(1)

    def more_properties(self, properties: Mapping[str, str]) -> Mapping[str, str]:
        secure = f"SASL_SSL://{self.host}:{self.secure_port}"
        listener = "listener.name.sasl_ssl"
        login = "org.apache.kafka.common.security"
        return {
            "listeners": f"{properties['listeners']},{secure}",
            "advertised.listeners": f"{properties['advertised.listeners']},{secure}",
            "listener.security.protocol.map": (
                f"{properties['listener.security.protocol.map']},SASL_SSL:SASL_SSL"
            ),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self._keystore()),
            f"{listener}.sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
            f"{listener}.scram-sha-512.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
            f"{listener}.plain.sasl.jaas.config": (
                f'{login}.plain.PlainLoginModule required user_{USER}="{SECRET}";'
            ),
        }

    def _keystore(self) -> Path:
        """Write key and certificate as Kafka reads them: the key as PKCS #8, then the chain."""
        key = load_pem_private_key(self._certificate.private_key_pem.bytes(), None)
        path = self.folder / "keystore.pem"
        path.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            + b"".join(part.bytes() for part in self._certificate.cert_chain_pems)
        )
        return path

    def format_options(self) -> Sequence[str]:
        return ["--add-scram", f"SCRAM-SHA-512=[name={USER},password={SECRET}]"]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def secure(authority: trustme.CA, kafka: object) -> Iterator[SecureKafka]:
    """A broker of this module's own; it asks for `kafka` so that one reason says why there is none."""
    server = SecureKafka(kafka_jars(), authority)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def dispatcher_for(server: SecureKafka, trusted: trustme.CA, folder: Path, **settings: str) -> FairDispatcher:
    authorities = folder / "authorities.pem"
    trusted.cert_pem.write_to_path(str(authorities))
    mechanism = settings.pop("sasl_mechanism", "SCRAM-SHA-512")
    return open_dispatcher(
        "kafka",
        bootstrap_servers=f"{server.host}:{server.secure_port}",
        namespace=f"tls-{mechanism.lower()}",
        timeout_seconds=3.0,
        security_protocol="SASL_SSL",
        sasl_mechanism=mechanism,
        username=USER,
        ssl_ca_file=str(authorities),
        **settings,
    )


async def refused(dispatcher: FairDispatcher) -> BrokerUnavailable:
    """Return the error of open, which must come soon and without the secret."""
    began = time.monotonic()
    with pytest.raises(BrokerUnavailable) as error:
        await dispatcher.open()
    assert time.monotonic() - began < 10
    cause: BaseException | None = error.value
    while cause is not None:
        assert SECRET not in f"{cause} {cause!r}"
        cause = cause.__cause__
    return error.value


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
async def test_everything_goes_over_tls_with_a_password_from_a_file(
    secure: SecureKafka,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mechanism: str,
) -> None:
    password = tmp_path / "password"
    password.write_text(f"{SECRET}\n")
    monkeypatch.setenv("FAIRDISPATCH_KAFKA_PASSWORD_FILE", str(password))
    async with dispatcher_for(secure, authority, tmp_path, sasl_mechanism=mechanism) as dispatcher:
        await dispatcher.publish(Message("acme", b"1"))
        (delivery,) = await dispatcher.receive(1, wait=10)
        assert delivery.message.payload == b"1"
        await dispatcher.ack(delivery)
        assert await dispatcher.backlog() == Backlog()


async def test_an_issuer_that_we_do_not_trust(secure: SecureKafka, tmp_path: Path) -> None:
    error = await refused(dispatcher_for(secure, trustme.CA(), tmp_path, password=SECRET))
    assert "ertificate" in str(error)


async def test_a_wrong_password(secure: SecureKafka, authority: trustme.CA, tmp_path: Path) -> None:
    error = await refused(dispatcher_for(secure, authority, tmp_path, password=f"not-{SECRET}"))
    assert not error.retryable
