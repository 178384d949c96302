-- Guarantee: dead letters in the order of their deaths, each with its record.
-- ARGV: customer ('' for all), limit, time of death and ref of the last one listed before ('' and '' at first).
-- Returns: ref, time of death (ms) and record of each.
operation('dead_letters', { 'no-writes' }, function(s, args)
  local customer, limit, after, last = args[1], tonumber(args[2]), args[3], args[4]
  local key, member = s.dead, last
  if customer ~= '' then
    key = s.dead_of .. customer
    member = last ~= '' and split_ref(last) or ''
  end
  local start = 0
  if after ~= '' then
    -- The rank of what was listed last; if it is gone, all of its millisecond may be listed again.
    local rank = redis.call('ZRANK', key, member)
    start = rank and rank + 1 or redis.call('ZCOUNT', key, '-inf', '(' .. after)
  end
  local reply = {}
  local found = redis.call('ZRANGE', key, start, start + limit - 1, 'WITHSCORES')
  for i = 1, #found, 2 do
    local ref = customer == '' and found[i] or ref_of(found[i], customer)
    local record = redis.call('HGET', s.graves, ref)
    if record then
      reply[#reply + 1], reply[#reply + 2], reply[#reply + 3] = ref, found[i + 1], record
    end
  end
  return reply
end)
