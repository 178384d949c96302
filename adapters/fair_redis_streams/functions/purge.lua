-- Guarantee: what was ready or delayed of the customer until `cut` is gone. Bounded: call until `more` is 0.
-- ARGV: customer, limit, cut (a message's number, '' for now).
-- Returns: how many were removed, cut, 1 if there is more.

-- Messages that came back have an entry in :again that has to go with them, also when they were redriven
-- and wait in the stream; if no message of the shard came back, the stream goes at once.
local function purge_ready(s, customer, limit, cut)
  local key = s.ready_of .. customer
  local length = redis.call('XLEN', key)
  if length == 0 then return 0 end
  if redis.call('EXISTS', s.again) == 0 then
    redis.call('UNLINK', key)
    return length
  end
  local entries = redis.call('XRANGE', key, '-', id_of(cut), 'COUNT', limit)
  local ids = {}
  for i, entry in ipairs(entries) do
    local _, _, original = split_fields(entry[2])
    if original then redis.call('HDEL', s.again, ref_of(original, customer)) end
    ids[i] = entry[1]
  end
  if #ids == length then
    redis.call('UNLINK', key)
  elseif #ids > 0 then
    redis.call('XDEL', key, unpack(ids))
  end
  return #ids
end

local function purge_returned(s, customer, limit)
  local ids = redis.call('ZRANGE', s.returned_of .. customer, 0, limit - 1)
  for _, id in ipairs(ids) do
    local ref = ref_of(id, customer)
    redis.call('HDEL', s.kept, ref)
    redis.call('HDEL', s.again, ref)
    redis.call('ZREM', s.returned_of .. customer, id)
  end
  return #ids
end

local function purge_delayed(s, customer, limit)
  local refs = redis.call('SRANDMEMBER', s.delayed_of .. customer, limit)
  for _, ref in ipairs(refs) do
    redis.call('HDEL', s.kept, ref)
    redis.call('HDEL', s.again, ref)
    redis.call('ZREM', s.due, ref)
    redis.call('SREM', s.delayed_of .. customer, ref)
  end
  if #refs > 0 then count(s.waiting, customer, -#refs) end
  return #refs
end

operation('purge', { 'allow-oom' }, function(s, args)
  local customer, limit, cut = args[1], tonumber(args[2]), tonumber(args[3])
  if not cut then cut = reserve(s, 1) end
  local ready = purge_ready(s, customer, limit, cut)
  local returned = purge_returned(s, customer, limit)
  local delayed = purge_delayed(s, customer, limit)
  s.ready_change = s.ready_change - ready - returned
  if redis.call('EXISTS', s.returned_of .. customer, s.ready_of .. customer) == 0 then forfeit(s, customer) end
  local more = (ready >= limit and redis.call('EXISTS', s.ready_of .. customer) == 1)
    or returned == limit or delayed == limit
  return { ready + returned + delayed, string.format('%d', cut), more and 1 or 0 }
end)
