-- Guarantee: each message is among the dead letters with this reason. Not idempotent.
-- ARGV: reason, then token and ref of each message.
-- Returns: the refs that were lost, each after its token.
operation('dead_letter', { 'allow-oom' }, function(s, args)
  local lost = {}
  for at = 2, #args, 2 do
    local token, ref = args[at], args[at + 1]
    local attempts, cost, envelope = leased_message(s, token, ref)
    if not attempts then
      lost[#lost + 1], lost[#lost + 2] = token, ref
    else
      bury(s, ref, attempts, cost, 'e', args[1], envelope)
      end_lease(s, token, ref)
      tidy_token(s, token)
    end
  end
  return lost
end)
