-- Time and ids. The clock is the server's, in milliseconds.
--
-- A message's number orders it within its shard: 4096 per millisecond since EPOCH, never repeated, never
-- smaller than the one before, whatever the clock does. It fits a double until 2089, so it can be a score.
-- Its id is the same as text, `<ms>-<rest>`: a stream id that tells when the message was published.
local EPOCH = 1577836800000
local PER_MS = 4096

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function id_of(number)
  return string.format('%d-%d', math.floor(number / PER_MS) + EPOCH, number % PER_MS)
end

local function number_of(id)
  local ms, rest = string.match(id, '^(%d+)-(%d+)')
  return (ms - EPOCH) * PER_MS + rest
end

-- Takes `count` numbers in a row and returns the first. Stored before use: a number may be skipped, not repeated.
local function reserve(s, count)
  local last = tonumber(redis.call('HGET', s.meta, 'number')) or 0
  local first = math.max(last + 1, (s.now - EPOCH) * PER_MS)
  redis.call('HSET', s.meta, 'number', string.format('%d', first + count - 1))
  return first
end

-- Lets no further number be below that of the id, unless the id is more than a day ahead of the clock.
local function advance_past(s, id)
  local number = number_of(id)
  if number < (s.now - EPOCH + 86400000) * PER_MS then
    redis.call('HSET', s.meta, 'number', string.format('%d', number))
    return true
  end
  return false
end
