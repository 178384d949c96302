-- Guarantee: what these tokens hold of the customer, published until `cut`, is gone; its receipts are void.
-- ARGV: customer, cut (a message's number), tokens.
-- Returns: how many were removed.
operation('purge_leases', { 'allow-oom' }, function(s, args)
  local customer, cut, removed = args[1], tonumber(args[2]), 0
  for at = 3, #args do
    local token = args[at]
    for _, ref in ipairs(redis.call('HKEYS', s.lease_of .. token)) do
      local id, owner = split_ref(ref)
      if owner == customer and number_of(id) <= cut then
        end_lease(s, token, ref)
        redis.call('HDEL', s.again, ref)
        removed = removed + 1
      end
    end
    tidy_token(s, token)
  end
  return removed
end)
