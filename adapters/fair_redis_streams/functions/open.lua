-- Guarantee: a namespace has one number of shards, the one it was first opened with. Called on shard 0.
-- ARGV: wanted number of shards, or 0 for whatever it has (1 for a new one).
-- Returns: the number of shards of the namespace.
operation('open', { 'allow-oom' }, function(s, args)
  local wanted = tonumber(args[1])
  redis.call('HSETNX', s.meta, 'shards', wanted > 0 and wanted or 1)
  return tonumber(redis.call('HGET', s.meta, 'shards'))
end)
