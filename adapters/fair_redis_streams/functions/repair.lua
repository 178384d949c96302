-- Guarantee: of these customers, those with something ready are in the ring.
-- Needed only after a function failed half way, since the server doesn't roll back. Idempotent.
-- ARGV: customers. Returns: how many were put back.
operation('repair', { 'allow-oom' }, function(s, args)
  local repaired = 0
  for _, customer in ipairs(args) do
    if redis.call('EXISTS', s.returned_of .. customer, s.ready_of .. customer) > 0 then
      local member = redis.call('HEXISTS', s.deficit, customer) == 1
      if not redis.call('LPOS', s.ring, customer) then
        redis.call('HDEL', s.deficit, customer)
        join(s, customer)
        repaired = repaired + 1
      elseif not member then
        redis.call('HSET', s.deficit, customer, 0)
        repaired = repaired + 1
      end
    end
  end
  return repaired
end)
