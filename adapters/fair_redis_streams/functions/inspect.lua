-- Guarantee: the counts are of one moment, after what time has brought was done.
-- ARGV: customer ('' for the shard), max attempts, retention of dead letters (ms).
-- Returns: ready, leased, delayed, dead, policy as text ('' for none).
operation('inspect', { 'allow-oom' }, function(s, args)
  local customer = args[1]
  sweep(s, tonumber(args[2]), tonumber(args[3]))
  if customer == '' then
    write_totals(s)
    s.ready_change, s.leased_change = 0, 0
    local totals = redis.call('HMGET', s.meta, 'ready', 'leased')
    return {
      -- Below 0 only if somebody else has added entries in our form, which then were handed over.
      math.max(tonumber(totals[1] or 0), 0), tonumber(totals[2] or 0),
      redis.call('ZCARD', s.due), redis.call('ZCARD', s.dead), ''
    }
  end
  local counts = customer_counts(s, customer)
  counts[5] = redis.call('HGET', s.policies, customer) or ''
  return counts
end)
