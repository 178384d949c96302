"""Settings of this adapter beside the common ones."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr

from broker_core.settings import DispatcherSettings

SCHEME = "kafka://"


class KafkaSettings(DispatcherSettings):
    """Where Kafka is, how to talk to it, and how the topics of a new namespace are made."""

    bootstrap_servers: str | None = Field(
        None,
        validation_alias="KAFKA_BOOTSTRAP_SERVERS",
        description="host:port of some of the brokers, separated by commas",
    )
    url: str | None = Field(
        None,
        validation_alias="FAIRDISPATCH_KAFKA_URL",
        description="kafka://host:port[,host:port], another way to say bootstrap_servers",
    )
    topic_prefix: str = Field(
        "fair-dispatcher",
        validation_alias="FAIRDISPATCH_KAFKA_TOPIC_PREFIX",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,99}$",
        description="how the names of all topics begin; the namespace follows after a dot",
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT",
        validation_alias="FAIRDISPATCH_KAFKA_SECURITY_PROTOCOL",
        description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL",
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512",
        validation_alias="FAIRDISPATCH_KAFKA_SASL_MECHANISM",
        description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512",
    )
    username: str | None = Field(None, validation_alias="FAIRDISPATCH_KAFKA_USERNAME", description="for SASL")
    password: SecretStr | None = Field(
        None, validation_alias="FAIRDISPATCH_KAFKA_PASSWORD", description="for SASL"
    )
    ssl_ca_file: str | None = Field(
        None,
        validation_alias="FAIRDISPATCH_KAFKA_SSL_CA_FILE",
        description="certificates of the issuers to trust, PEM; unset: those of the system",
    )
    ssl_cert_file: str | None = Field(
        None,
        validation_alias="FAIRDISPATCH_KAFKA_SSL_CERT_FILE",
        description="this client's certificate and its chain, PEM",
    )
    ssl_key_file: str | None = Field(
        None,
        validation_alias="FAIRDISPATCH_KAFKA_SSL_KEY_FILE",
        description="the key of ssl_cert_file, PEM, without a passphrase",
    )
    timeout_seconds: float = Field(
        5.0,
        validation_alias="FAIRDISPATCH_KAFKA_TIMEOUT_SECONDS",
        ge=0.1,
        le=300,
        description="longest wait for a connection and for an answer of a broker",
    )
    replication_factor: int | None = Field(
        None,
        validation_alias="FAIRDISPATCH_KAFKA_REPLICATION_FACTOR",
        ge=1,
        le=100,
        description="copies of each partition of a new namespace; unset: the brokers' default",
    )
    partition_step: int = Field(
        16,
        validation_alias="FAIRDISPATCH_KAFKA_PARTITION_STEP",
        ge=1,
        le=1000,
        description="partitions that are added at a time when customers find none free",
    )
    max_partitions: int = Field(
        4000,
        validation_alias="FAIRDISPATCH_KAFKA_MAX_PARTITIONS",
        ge=1,
        le=100_000,
        description="most partitions for messages; more active customers than that share partitions",
    )
    hashed_partitions: int = Field(
        0,
        validation_alias="FAIRDISPATCH_KAFKA_HASHED_PARTITIONS",
        ge=0,
        le=10_000,
        description=(
            "0: a partition for each customer that has messages waiting; else customers are spread over "
            "this many partitions by a hash of their names. Decided when the namespace is made"
        ),
    )
    segment_bytes: int = Field(
        16 << 20,
        validation_alias="FAIRDISPATCH_KAFKA_SEGMENT_BYTES",
        ge=1 << 20,
        le=1 << 30,
        description="size of a segment in a new namespace; one stays for each partition when all is acked",
    )
    cache_bytes: int = Field(
        64 << 20,
        validation_alias="FAIRDISPATCH_KAFKA_CACHE_BYTES",
        ge=0,
        le=1 << 40,
        description="memory for messages that were read together with others, kept for the next receive",
    )

    @property
    def servers(self) -> str:
        """Where the brokers are, "" if nothing says it."""
        return self.bootstrap_servers or (self.url or "").removeprefix(SCHEME)
