"""Fair dispatch on Redis Streams: Redis 7.0 or newer, Valkey 8 or newer."""
