-- The ready ring: weighted deficit round robin over the customers that have something ready
-- (Shreedhar & Varghese, SIGCOMM 1995), in the same order as broker_core/fairness.py.
--
-- A customer is a member while it has a field in :deficit: what its last visit left, as '<units>', or as
-- '<units>@<skipped>' when the visit ended because the next message costs more. `skipped` is the number of
-- rounds that were skipped until then, since nobody could afford anything; rounds skipped later are
-- granted when the customer is visited again.
--
-- join() is carried out by join_all(), which every operation ends with, also after an error.
local function join(s, customer)
  if not s.joining[customer] then
    s.joining[customer] = true
    s.joining[#s.joining + 1] = customer
  end
end

local JOIN_AT_ONCE = 500

local function join_all(s)
  local joining = s.joining
  s.joining = {}
  for from = 1, #joining, JOIN_AT_ONCE do
    local some = { unpack(joining, from, math.min(from + JOIN_AT_ONCE - 1, #joining)) }
    local stored, deficits, new = redis.call('HMGET', s.deficit, unpack(some)), {}, {}
    for i, customer in ipairs(some) do
      if not stored[i] then
        new[#new + 1] = customer
        deficits[#deficits + 1], deficits[#deficits + 2] = customer, 0
      end
    end
    if #new > 0 then
      redis.call('HSET', s.deficit, unpack(deficits))
      redis.call('RPUSH', s.ring, unpack(new))
      s.joined = true
    end
  end
end

-- What receive needs of the scheduler: whether the head is in the middle of its visit, the rounds skipped so
-- far, how many visits in a row ended without being able to pay, the fewest rounds that one of them lacks.
local function load_schedule(s)
  local state = redis.call('HMGET', s.meta, 'visiting', 'skipped', 'fruitless', 'least')
  return {
    visiting = state[1] == '1', skipped = tonumber(state[2] or 0),
    fruitless = tonumber(state[3] or 0), least = tonumber(state[4] or 0),
    before = state,
  }
end

local function save_schedule(s, schedule)
  local now = {
    schedule.visiting and '1' or '0', string.format('%d', schedule.skipped),
    string.format('%d', schedule.fruitless), string.format('%d', schedule.least),
  }
  for i, value in ipairs(now) do
    if value ~= (schedule.before[i] or '0') then
      redis.call('HSET', s.meta, 'visiting', now[1], 'skipped', now[2], 'fruitless', now[3], 'least', now[4])
      return
    end
  end
end

-- Splits a field of :deficit into its units and the rounds that were skipped since they were written.
local function split_deficit(stored, skipped_now)
  local units = tonumber(stored)
  if units then return units, 0 end
  local skipped
  units, skipped = string.match(stored, '^(%d+)@(%d+)$')
  return tonumber(units), skipped_now - skipped
end

-- Begins a visit, or goes on with it: returns what it may spend. `stored` is the customer's field in :deficit.
local function enter(s, schedule, stored, grant)
  if schedule.visiting then
    local left = split_deficit(stored, schedule.skipped)
    -- Nothing is left only when the ring was mended in between: then a visit begins.
    if left > 0 then return left end
  end
  if schedule.fruitless > 0 and schedule.fruitless >= redis.call('LLEN', s.ring) then
    -- A whole round in which nobody could pay: go to the first one in which somebody can.
    schedule.skipped = schedule.skipped + schedule.least - 1
    schedule.fruitless, schedule.least = 0, 0
  end
  local units, rounds = split_deficit(stored, schedule.skipped)
  return units + (1 + rounds) * grant
end

-- Ends a visit since `shortfall` units are lacking for the next message; returns what to store in :deficit.
local function postpone(schedule, units, shortfall, grant)
  local lacks = math.ceil(shortfall / grant)
  if schedule.fruitless == 0 or lacks < schedule.least then schedule.least = lacks end
  schedule.fruitless = schedule.fruitless + 1
  return string.format('%d@%d', units, schedule.skipped)
end

-- To be called when a member's next message may have become cheaper or its weight another: what was
-- counted for skipping rounds no longer holds.
local function recount_rounds(s)
  if redis.call('HEXISTS', s.meta, 'fruitless') == 1 then redis.call('HSET', s.meta, 'fruitless', 0, 'least', 0) end
end

-- To be called before a weight changes: rounds skipped so far are granted with the old one.
local function settle_rounds(s, customer, grant)
  local stored = redis.call('HGET', s.deficit, customer)
  if not stored then return end
  local skipped = tonumber(redis.call('HGET', s.meta, 'skipped') or 0)
  local units, rounds = split_deficit(stored, skipped)
  if rounds > 0 then
    redis.call('HSET', s.deficit, customer, string.format('%d@%d', units + rounds * grant, skipped))
  end
  recount_rounds(s)
end

-- Drops the credit of a customer whose messages are gone. It keeps its place and leaves when its turn comes,
-- unless something of it is ready again by then.
local function forfeit(s, customer)
  if redis.call('HEXISTS', s.deficit, customer) == 0 then return end
  redis.call('HSET', s.deficit, customer, 0)
  recount_rounds(s)
  if redis.call('LINDEX', s.ring, 0) == customer then redis.call('HSET', s.meta, 'visiting', 0) end
end
