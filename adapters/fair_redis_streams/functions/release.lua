-- Guarantee: each message is ready again at its old place as if it had not been handed over. Not idempotent.
-- ARGV: token and ref of each message.
-- Returns: the refs that were lost, each after its token.
operation('release', { 'allow-oom' }, function(s, args)
  return end_each(s, args, 1, function(ref, attempts, cost, envelope)
    give_back(s, ref, attempts - 1, cost, envelope)
  end)
end)
