-- Guarantee: each message is among the dead letters with this reason. Not idempotent.
-- ARGV: reason, then token and ref of each message.
-- Returns: the refs that were lost, each after its token.
operation('dead_letter', { 'allow-oom' }, function(s, args)
  return end_each(s, args, 2, function(ref, attempts, cost, envelope)
    bury(s, ref, attempts, cost, 'e', args[1], envelope)
  end)
end)
