"""Brokers for tests. Now local processes; other kinds come behind the same interface, `BrokerServer`."""
