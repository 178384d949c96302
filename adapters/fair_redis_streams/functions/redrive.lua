-- Guarantee: each chosen dead letter is ready at the tail of its customer, with its old id and no attempt made.
-- ARGV: customer, latest time of death ('' for now), limit, then refs, or none for all that died until then.
-- Returns: how many were redriven, the latest time of death, 1 if there may be more.
operation('redrive', { 'allow-oom' }, function(s, args)
  local customer, cut, limit = args[1], tonumber(args[2]) or s.now, tonumber(args[3])
  local refs, redriven = chosen_graves(s, customer, cut, limit, args, 4), 0
  local number = reserve(s, #refs + 1)
  for _, ref in ipairs(refs) do
    local record = redis.call('HGET', s.graves, ref)
    if record then
      local _, cost, _, length, start = string.match(record, '^(%d+):(%d+):(%a):(%d+):()')
      local envelope = string.sub(record, start + tonumber(length))
      local id = split_ref(ref)
      redis.call('XADD', s.ready_of .. customer, id_of(number), 'm', envelope, 'c', cost, 'i', id)
      number, redriven = number + 1, redriven + 1
      s.ready_change = s.ready_change + 1
      join(s, customer)
      exhume(s, ref)
      redis.call('HSET', s.again, ref, 1)
    end
  end
  return { redriven, cut, (#args < 4 and #refs == limit) and 1 or 0 }
end)
