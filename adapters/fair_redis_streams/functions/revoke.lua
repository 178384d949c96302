-- Guarantee: what the receive with this token took is ready again at its old place with no attempt counted,
-- and if that receive comes later than this call, it gets nothing.
-- ARGV: token, how long a late receive is refused (ms).
-- Returns: 1.
operation('revoke', { 'allow-oom' }, function(s, args)
  redis.call('ZADD', s.void, s.now + tonumber(args[2]), args[1])
  redis.call('PEXPIRE', s.void, 2 * tonumber(args[2]))  -- for when nobody receives any more
  undo_token(s, args[1])
  return 1
end)
