-- Guarantee: the customer's policy is replaced as a whole and counts from the customer's next visit. Idempotent.
-- ARGV: customer, policy as text ('' removes it), weight, 1 if paused, quantum.
-- Returns: 1.
operation('set_policy', { 'allow-oom' }, function(s, args)
  local customer, policy, weight, paused = args[1], args[2], args[3], args[4] == '1'
  if policy == '' then
    redis.call('HDEL', s.policies, customer)
  else
    redis.call('HSET', s.policies, customer, policy)
  end
  local before = redis.call('HGET', s.weights, customer) or '1'
  if weight ~= before then settle_rounds(s, customer, tonumber(args[5]) * before) end
  if weight == '1' then
    redis.call('HDEL', s.weights, customer)
  else
    redis.call('HSET', s.weights, customer, weight)
  end
  if paused then
    redis.call('SADD', s.paused, customer)
  elseif redis.call('SREM', s.paused, customer) == 1 then
    if redis.call('EXISTS', s.returned_of .. customer, s.ready_of .. customer) > 0 then join(s, customer) end
  end
  return 1
end)
