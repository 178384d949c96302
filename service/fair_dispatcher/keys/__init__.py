"""API keys of the service: what they allow, and the file that holds their hashes."""
