"""FairDispatcher over Kafka: a partition per customer."""
