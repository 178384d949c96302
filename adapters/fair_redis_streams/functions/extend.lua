-- Guarantee: each lease that the token still holds ends when it says, unless renewed again. Idempotent.
-- ARGV: seconds from now (ms), then token and ref of each message.
-- Returns: for each message the end of its lease (ms), 0 where it was lost.
operation('extend', { 'allow-oom' }, function(s, args)
  local ends, reply = s.now + tonumber(args[1]), {}
  for at = 2, #args, 2 do
    local token, ref = args[at], args[at + 1]
    if redis.call('HEXISTS', s.lease_of .. token, ref) == 1 then
      redis.call('HSETNX', s.renewed_of .. token, '', redis.call('ZSCORE', s.leases, token))
      redis.call('HSET', s.renewed_of .. token, ref, ends)
      -- The score is only a lower bound of the token's ends; the sweep looks at each of them.
      redis.call('ZADD', s.leases, 'LT', ends, token)
      reply[#reply + 1] = ends
    else
      reply[#reply + 1] = 0
    end
  end
  return reply
end)
