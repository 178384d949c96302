"""A Kafka that asks for a password, for the tests about that."""

from __future__ import annotations

from tests.servers.kafka_local import LocalKafka

USER, PASSWORD = "dispatcher", "right-secret"
_LOGIN_MODULE = "org.apache.kafka.common.security.plain.PlainLoginModule"


class PasswordKafka(LocalKafka):
    """The same as LocalKafka, but nobody gets in without USER and PASSWORD by SASL PLAIN."""

    def prepare(self) -> None:
        super().prepare()
        found = dict(line.split("=", 1) for line in self._properties.read_text().splitlines() if line)
        for name in ("listeners", "advertised.listeners"):
            found[name] = found[name].replace("PLAINTEXT://", "SASL_PLAINTEXT://", 1)
        found["listener.security.protocol.map"] = "CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT"
        found["inter.broker.listener.name"] = "SASL_PLAINTEXT"
        found["sasl.mechanism.inter.broker.protocol"] = "PLAIN"
        found["sasl.enabled.mechanisms"] = "PLAIN"
        found["listener.name.sasl_plaintext.plain.sasl.jaas.config"] = (
            f'{_LOGIN_MODULE} required username="{USER}" password="{PASSWORD}" user_{USER}="{PASSWORD}";'
        )
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in found.items()))
