-- Guarantee: a namespace has one number of shards, the one it was first opened with; the shard is ready for use.
-- ARGV: wanted number of shards, or 0 for whatever it has (1 for a new one).
-- Returns: the number of shards of the namespace, as this shard knows it.

-- A small hash is a list that is searched from its beginning, and these two are looked up for each visit: with
-- many customers most of the time went there. A field longer than 64 bytes makes the server keep a real table.
-- No customer has a control character in its name.
local LONG_FIELD = '\1this field keeps the hash a table, since it is longer than 64 bytes'

operation('open', { 'allow-oom' }, function(s, args)
  local wanted = tonumber(args[1])
  redis.call('HSETNX', s.meta, 'shards', wanted > 0 and wanted or 1)
  redis.call('HSETNX', s.deficit, LONG_FIELD, 0)
  redis.call('HSETNX', s.leased, LONG_FIELD, 0)
  return tonumber(redis.call('HGET', s.meta, 'shards'))
end)
