-- Guarantee: each message is ready again (after the delay) with its attempt counted, or dead if that attempt
-- was the last. Not idempotent.
-- ARGV: delay (ms), max attempts, reason, then token and ref of each message.
-- Returns: the refs that were lost, each after its token.
operation('nack', { 'allow-oom' }, function(s, args)
  local delay_ms, max_attempts, reason = tonumber(args[1]), tonumber(args[2]), args[3]
  return end_each(s, args, 4, function(ref, attempts, cost, envelope)
    if attempts >= max_attempts then
      bury(s, ref, attempts, cost, 'e', reason, envelope)
    elseif delay_ms > 0 then
      delay(s, ref, attempts, cost, envelope, s.now + delay_ms)
    else
      give_back(s, ref, attempts, cost, envelope)
    end
  end)
end)
