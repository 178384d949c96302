-- What time brings: leases end, delays end, dead letters get too old. Bounded; true when there is more to do.
local SWEEP_LIMIT = 200

local function sweep(s, max_attempts, retention_ms)
  local more, work = false, 0
  for _, token in ipairs(redis.call('ZRANGEBYSCORE', s.leases, '-inf', s.now, 'LIMIT', 0, SWEEP_LIMIT)) do
    if work >= SWEEP_LIMIT then more = true break end
    work = work + 1 + expire_token(s, token, max_attempts, SWEEP_LIMIT)
  end
  local due = redis.call('ZRANGEBYSCORE', s.due, '-inf', s.now, 'LIMIT', 0, SWEEP_LIMIT)
  for _, ref in ipairs(due) do undelay(s, ref) end
  local old = redis.call('ZRANGEBYSCORE', s.dead, '-inf', s.now - retention_ms, 'LIMIT', 0, SWEEP_LIMIT)
  for _, ref in ipairs(old) do exhume(s, ref) end
  redis.call('ZREMRANGEBYSCORE', s.void, '-inf', s.now)
  return more or work >= SWEEP_LIMIT or #due == SWEEP_LIMIT or #old == SWEEP_LIMIT
end
