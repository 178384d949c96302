-- Waking consumers that block on :wake. A token says "look": it is a hint, one is enough, since the consumer
-- that it wakes leaves another while there is more. Consumers look by themselves every few seconds too.
local function wake(s)
  if redis.call('LLEN', s.wake) == 0 then redis.call('LPUSH', s.wake, 1) end
end

-- meta.alarm: when the consumer that fell asleep last looks again by itself (ms), 0 for never.
-- Somebody has to look at `due`: wakes a sleeper that would look too late.
local function wake_by(s, due)
  local alarm = tonumber(redis.call('HGET', s.meta, 'alarm'))
  if alarm and (alarm <= s.now or due < alarm) then
    redis.call('HSET', s.meta, 'alarm', due)
    wake(s)
  end
end
