"""The contract kept in an SQLite file: for one machine, and as an example of an adapter."""
