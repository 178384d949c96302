-- Guarantee: what it returns is leased to the token until the deadline at least, chosen by weighted deficit
-- round robin over all customers with something ready; a visit that is cut short goes on with the next call.
-- A token that was given up gets nothing. Bounded work: see `more`.
-- ARGV: token, lease (ms), most messages, quantum, most bytes, max attempts, retention of dead letters (ms),
--   1 if the caller waits when nothing comes.
-- Returns: deadline (ms), then when to look again (ms from now, 0: at once, -1: nothing is due), then ref and
--   record of each message.

local STEPS_WITHOUT_MESSAGE = 300
local FIRST_FETCH, MOST_FETCH = 16, 128

local function hand_over(s, call, ref, attempts, cost, envelope)
  local record = record_of(attempts, cost, envelope)
  local reply, fields = call.reply, call.fields
  reply[#reply + 1], reply[#reply + 2] = ref, record
  fields[#fields + 1], fields[#fields + 2] = ref, record
  call.taken = call.taken + 1
  call.bytes = call.bytes + #record
end

-- Writes the leases of one customer that `hand_over` collected, before the messages leave their old place.
local function lease(s, call, customer)
  local fields = call.fields
  if #fields == 0 then return end
  if not call.has_token then
    redis.call('ZADD', s.leases, call.deadline, call.token)
    call.has_token = true
  end
  redis.call('HSET', s.lease_of .. call.token, unpack(fields))
  count_leased(s, customer, #fields / 2)
  s.ready_change = s.ready_change - #fields / 2
  call.fields = {}
end

-- How many messages to read at once: no more than may be handed over, fewer when they are large.
local function fetch_count(call, deficit)
  local most = math.min(call.most - call.taken, deficit)
  if call.taken == 0 then return math.min(most, FIRST_FETCH) end
  local average = call.bytes / call.taken
  return math.min(most, MOST_FETCH, 1 + math.floor((call.most_bytes - call.bytes) / average))
end

local function is_full(call) return call.taken >= call.most or call.bytes >= call.most_bytes end

-- Hands over messages that came back. Returns the deficit left, the shortfall for the next one (nil if it
-- wasn't looked at), and whether the customer had any.
local function serve_returned(s, call, customer, deficit)
  local key, gone, shortfall = s.returned_of .. customer, {}, nil
  local ids = redis.call('ZRANGE', key, 0, fetch_count(call, deficit) - 1)
  if #ids == 0 then return deficit, nil, false end
  for _, id in ipairs(ids) do
    local ref = ref_of(id, customer)
    local record = redis.call('HGET', s.kept, ref)
    local attempts, cost, envelope = split_record(record or '')
    if not attempts then
      redis.log(redis.LOG_WARNING, 'fair dispatcher: a returned message has vanished')
      s.ready_change = s.ready_change - 1
    elseif cost > deficit then
      shortfall = cost - deficit
      break
    else
      deficit = deficit - cost
      hand_over(s, call, ref, attempts + 1, cost, envelope)
    end
    gone[#gone + 1] = id
    if is_full(call) then break end
  end
  lease(s, call, customer)
  if #gone > 0 then
    for i, id in ipairs(gone) do gone[i] = ref_of(id, customer) end
    redis.call('HDEL', s.kept, unpack(gone))
    redis.call('ZREM', key, unpack(ids, 1, #gone))
  end
  return deficit, shortfall, true
end

-- The same for messages that were never handed over; the third result says whether some are left.
local function serve_ready(s, call, customer, deficit)
  local key, shortfall, done = s.ready_of .. customer, nil, 0
  local wanted = fetch_count(call, deficit)
  local entries = redis.call('XRANGE', key, '-', '+', 'COUNT', wanted)
  local ids = {}
  for i, entry in ipairs(entries) do
    local id = entry[1]
    local envelope, cost, original = split_fields(entry[2])
    if not envelope then
      bury(s, ref_of(id, customer), 0, 1, 'r', 'undecodable entry', raw_text(entry[2]))
      call.foreign = call.foreign + 1
    elseif cost > deficit then
      shortfall = cost - deficit
      break
    else
      deficit = deficit - cost
      hand_over(s, call, ref_of(original or id, customer), 1, cost, envelope)
    end
    ids[i], done = id, i
    if is_full(call) then break end
  end
  lease(s, call, customer)
  local left = true
  if done == #entries then
    left = #entries == wanted and redis.call('XLEN', key) > done
  end
  if not left then
    redis.call('DEL', key)
  elseif done > 0 then
    redis.call('XDEL', key, unpack(ids))
  end
  return deficit, shortfall, left
end

local function visit(s, call, customer)
  local schedule = call.schedule
  local weight = call.some_weights and tonumber(redis.call('HGET', s.weights, customer)) or 1
  local grant = call.quantum * weight
  local paused = call.some_paused and redis.call('SISMEMBER', s.paused, customer) == 1
  local deficit = not paused and enter(s, schedule, customer, grant)
  if not deficit then
    leave(s, customer)
    schedule.visiting = false
    return
  end
  local taken_before = call.taken
  local shortfall, left = nil, true
  local had_returned = false
  if call.some_kept then deficit, shortfall, had_returned = serve_returned(s, call, customer, deficit) end
  if not had_returned then deficit, shortfall, left = serve_ready(s, call, customer, deficit) end
  if had_returned and not shortfall then
    left = redis.call('EXISTS', s.returned_of .. customer, s.ready_of .. customer) > 0
  end
  schedule.visiting = false
  if call.taken > taken_before then schedule.fruitless, schedule.least = 0, 0 end
  if not left then
    leave(s, customer)
  elseif shortfall then
    postpone(s, schedule, customer, deficit, shortfall, grant)
  else
    redis.call('HSET', s.deficit, customer, deficit)
    if deficit == 0 then
      redis.call('LMOVE', s.ring, s.ring, 'LEFT', 'RIGHT')
    else
      schedule.visiting = true
    end
  end
end

local function serve(s, call)
  local steps = 0
  while not is_full(call) do
    local customer = redis.call('LINDEX', s.ring, 0)
    if not customer then return false end
    steps = steps + 1
    if steps > call.most + STEPS_WITHOUT_MESSAGE then return true end
    visit(s, call, customer)
  end
  return false
end

-- Milliseconds until a lease ends or a delay is over, -1 if nothing is under way.
local function next_due(s)
  local lease_end = redis.call('ZRANGE', s.leases, 0, 0, 'WITHSCORES')[2]
  local due = redis.call('ZRANGE', s.due, 0, 0, 'WITHSCORES')[2]
  local first = math.min(tonumber(lease_end or math.huge), tonumber(due or math.huge))
  if first == math.huge then return -1, 0 end
  return math.max(first - s.now, 0), first
end

operation('receive', { 'allow-oom' }, function(s, args)
  local token = args[1]
  if redis.call('ZSCORE', s.void, token) then return { 0, -1 } end
  local more = sweep(s, tonumber(args[6]), tonumber(args[7]))
  local deadline = s.now + tonumber(args[2])
  local call = {
    token = token, deadline = deadline, most = tonumber(args[3]), quantum = tonumber(args[4]),
    most_bytes = tonumber(args[5]), taken = 0, bytes = 0, foreign = 0, reply = { deadline, -1 }, fields = {},
    schedule = load_schedule(s),
    some_paused = redis.call('EXISTS', s.paused) == 1,
    some_weights = redis.call('EXISTS', s.weights) == 1,
    some_kept = redis.call('EXISTS', s.kept) == 1,
  }
  more = serve(s, call) or more
  s.ready_change = s.ready_change - call.foreign
  save_schedule(s, call.schedule)
  if call.taken > 0 then
    s.joined = redis.call('EXISTS', s.ring) == 1
    wake_by(s, deadline)
  else
    s.joined = false
    local due, alarm = next_due(s)
    call.reply[2] = more and 0 or due
    if args[8] == '1' and not more then redis.call('HSET', s.meta, 'alarm', alarm) end
  end
  return call.reply
end)
