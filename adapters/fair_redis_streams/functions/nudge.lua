-- Guarantee: if something is ready, a waiting consumer is told. For who took a token and can't use it.
-- Returns: 1.
operation('nudge', { 'allow-oom' }, function(s)
  s.joined = redis.call('EXISTS', s.ring) == 1
  return 1
end)
