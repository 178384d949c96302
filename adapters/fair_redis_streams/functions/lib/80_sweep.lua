-- What time brings: leases end, delays end, dead letters get too old. Bounded; true when there is more to do.
local SWEEP_LIMIT = 200

-- A message that somebody else removed from a lease is counted until nothing is leased at all: then whatever the
-- counters still hold is such. Likewise :again, when no message exists that may have come back.
local function forget_vanished(s)
  if redis.call('EXISTS', s.leases) == 1 then return end
  if redis.call('HLEN', s.leased) > 1 then
    for i, field in ipairs(redis.call('HSCAN', s.leased, 0, 'COUNT', SWEEP_LIMIT)[2]) do
      -- All but the one field that isn't a customer.
      if i % 2 == 1 and string.byte(field) ~= 1 then redis.call('HDEL', s.leased, field) end
    end
    s.leased_change = -(tonumber(redis.call('HGET', s.meta, 'leased')) or 0)
  end
  if redis.call('EXISTS', s.again) == 1 and redis.call('EXISTS', s.kept, s.dead) == 0 then
    local ready = (tonumber(redis.call('HGET', s.meta, 'ready')) or 0) + s.ready_change
    if ready <= 0 then redis.call('UNLINK', s.again) end
  end
end

local function sweep(s, max_attempts, retention_ms)
  local more, work = false, 0
  for _, token in ipairs(redis.call('ZRANGEBYSCORE', s.leases, '-inf', s.now, 'LIMIT', 0, SWEEP_LIMIT)) do
    if work >= SWEEP_LIMIT then more = true break end
    work = work + 1 + expire_token(s, token, max_attempts, SWEEP_LIMIT)
  end
  forget_vanished(s)
  local due = redis.call('ZRANGEBYSCORE', s.due, '-inf', s.now, 'LIMIT', 0, SWEEP_LIMIT)
  for _, ref in ipairs(due) do undelay(s, ref) end
  local old = redis.call('ZRANGEBYSCORE', s.dead, '-inf', s.now - retention_ms, 'LIMIT', 0, SWEEP_LIMIT)
  for _, ref in ipairs(old) do exhume(s, ref) end
  redis.call('ZREMRANGEBYSCORE', s.void, '-inf', s.now)
  return more or work >= SWEEP_LIMIT or #due == SWEEP_LIMIT or #old == SWEEP_LIMIT
end
