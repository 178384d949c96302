"""FairDispatcher over RabbitMQ: a queue per customer."""
