-- Guarantee: the messages are gone and their memory is free, unless they belong to another consumer by now.
-- Idempotent.
-- ARGV: groups of token, number of runs, then for each run customer, number of refs, refs. A run's refs are
--   all of that customer.
-- Returns: the refs that were lost, each after its token.

-- A message can only belong to somebody else if it came back once. Returns the refs that are not lost.
local function without_lost(s, token, refs, lost)
  local kept, came_back = {}, redis.call('HMGET', s.again, unpack(refs))
  for i, ref in ipairs(refs) do
    if came_back[i] and redis.call('HEXISTS', s.lease_of .. token, ref) == 0 then
      lost[#lost + 1], lost[#lost + 2] = token, ref
    else
      kept[#kept + 1] = ref
    end
  end
  return kept
end

operation('ack', { 'allow-oom' }, function(s, args)
  local some_again = redis.call('EXISTS', s.again) == 1
  local lost, at, changes = {}, 1, {}
  while at <= #args do
    local token, runs = args[at], tonumber(args[at + 1])
    local lease = s.lease_of .. token
    at = at + 2
    for _ = 1, runs do
      local customer, length = args[at], tonumber(args[at + 1])
      local refs = { unpack(args, at + 2, at + 1 + length) }
      at = at + 2 + length
      if some_again then refs = without_lost(s, token, refs, lost) end
      if #refs > 0 then
        local removed = redis.call('HDEL', lease, unpack(refs))
        if removed > 0 then changes[customer] = (changes[customer] or 0) - removed end
        if some_again then redis.call('HDEL', s.again, unpack(refs)) end
      end
    end
    tidy_token(s, token)
  end
  count_leased_all(s, changes)
  return lost
end)
