-- Guarantee: when it returns an id, the message is in its customer's stream (or was there within the dedup
-- window under the same key) and the customer is in the ready ring.
-- ARGV: half of the dedup window (ms, 0: off), then for each message customer, cost, key ('' for none), envelope.
-- Returns: for each message its id, or '!' and a text when the customer's stream can't take it.
-- Without allow-oom: a full server refuses it as a whole before anything is written.

local DEDUP_HALVES = 3  -- the current half window and the two before it cover a whole window at any time

local function dedup_half(s, half_ms) return math.floor(s.now / half_ms) end

local function known_id(s, half_ms, field)
  local current = dedup_half(s, half_ms)
  for age = 0, DEDUP_HALVES - 1 do
    local id = redis.call('HGET', s.dedup_of .. (current - age), field)
    if id then return id end
  end
end

local function remember_id(s, half_ms, field, id)
  local current = dedup_half(s, half_ms)
  local key = s.dedup_of .. current
  if redis.call('HSETNX', key, field, id) == 1 and redis.call('HLEN', key) == 1 then
    redis.call('PEXPIRE', key, half_ms * DEDUP_HALVES)
    -- Freed in the background; left to its expiry, a large one would block the server.
    redis.call('UNLINK', s.dedup_of .. (current - DEDUP_HALVES))
  end
end

-- A stream refuses an id below its last one. That happens when somebody else has added to it.
local function append(s, customer, id, envelope, cost)
  local key = s.ready_of .. customer
  if cost == '1' then return redis.pcall('XADD', key, id, 'm', envelope) end
  return redis.pcall('XADD', key, id, 'm', envelope, 'c', cost)
end

local function append_past(s, customer, envelope, cost)
  local info = redis.pcall('XINFO', 'STREAM', s.ready_of .. customer)
  if info.err then return info end
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' and advance_past(s, info[i + 1]) then
      return append(s, customer, id_of(reserve(s, 1)), envelope, cost)
    end
  end
  return { err = 'a foreign entry with an id in the future blocks the stream' }
end

operation('publish', {}, function(s, args)
  local half_ms = tonumber(args[1])
  local number = reserve(s, (#args - 1) / 4)
  local ids = {}
  for at = 2, #args, 4 do
    local customer, cost, key = args[at], args[at + 1], args[at + 2]
    local field = half_ms > 0 and key ~= '' and customer .. '\0' .. key
    local id = field and known_id(s, half_ms, field)
    if not id then
      id = append(s, customer, id_of(number), args[at + 3], cost)
      if id.err then id = append_past(s, customer, args[at + 3], cost) end
      number = number + 1
      if not id.err then
        s.ready_change = s.ready_change + 1
        join(s, customer)
        if field then remember_id(s, half_ms, field, id) end
      end
    end
    ids[#ids + 1] = type(id) == 'table' and '!' .. id.err or id
  end
  return ids
end)
