"""The contract kept in the memory of one process: for tests, and as the model of the other adapters."""
