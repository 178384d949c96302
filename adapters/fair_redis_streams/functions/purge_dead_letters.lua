-- Guarantee: each chosen dead letter is gone.
-- ARGV: customer, latest time of death ('' for now), limit, then refs, or none for all that died until then.
-- Returns: how many were removed, the latest time of death, 1 if there may be more.
operation('purge_dead_letters', { 'allow-oom' }, function(s, args)
  local customer, cut, limit = args[1], tonumber(args[2]) or s.now, tonumber(args[3])
  local refs, removed = chosen_graves(s, customer, cut, limit, args, 4), 0
  for _, ref in ipairs(refs) do
    if exhume(s, ref) then removed = removed + 1 end
  end
  return { removed, cut, (#args < 4 and #refs == limit) and 1 or 0 }
end)
