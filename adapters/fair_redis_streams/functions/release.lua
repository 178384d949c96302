-- Guarantee: each message is ready again at its old place as if it had not been handed over. Not idempotent.
-- ARGV: token and ref of each message.
-- Returns: the refs that were lost, each after its token.
operation('release', { 'allow-oom' }, function(s, args)
  local lost = {}
  for at = 1, #args, 2 do
    local token, ref = args[at], args[at + 1]
    local attempts, cost, envelope = leased_message(s, token, ref)
    if not attempts then
      lost[#lost + 1], lost[#lost + 2] = token, ref
    else
      give_back(s, ref, attempts - 1, cost, envelope)
      end_lease(s, token, ref)
      tidy_token(s, token)
    end
  end
  return lost
end)
