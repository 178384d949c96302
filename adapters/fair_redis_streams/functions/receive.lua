-- Guarantee: what it returns is leased to the token until the deadline at least, chosen by weighted deficit
-- round robin over all customers with something ready; a visit that is cut short goes on with the next call.
-- A token that was given up gets nothing. Bounded work: see `when to look again`.
-- ARGV: token, lease (ms), most messages, quantum, most bytes, max attempts, retention of dead letters (ms),
--   1 if the caller waits when nothing comes.
-- Returns: deadline (ms), when to look again (ms from now, 0: at once, -1: nothing is due), how many customers
--   stood in the ring, then ref and record of each message.
--
-- It works in passes over the next customers of the ring. A pass looks at all of them first, then writes:
-- the leases before the messages leave their old place, the ring at last. So an error in between can leave
-- a message twice or a customer in the ring without messages, which the next visit finds out; nothing is lost.

local VISITS_WITHOUT_MESSAGE = 300
local MOST_VISITS = 100
local FIRST_FETCH, MOST_FETCH = 16, 128

local function is_full(call) return call.taken >= call.most or call.bytes >= call.most_bytes end

local function hand_over(call, ref, attempts, cost, envelope)
  local record = record_of(attempts, cost, envelope)
  local reply, fields = call.reply, call.pass.fields
  reply[#reply + 1], reply[#reply + 2] = ref, record
  fields[#fields + 1], fields[#fields + 2] = ref, record
  call.taken = call.taken + 1
  call.bytes = call.bytes + #record
end

-- How many messages to read at once: no more than may be handed over, fewer when they are large.
local function fetch_count(call, units)
  local most = math.min(call.most - call.taken, units)
  if call.taken == 0 then return math.min(most, FIRST_FETCH) end
  local average = call.bytes / call.taken
  return math.min(most, MOST_FETCH, 1 + math.floor((call.most_bytes - call.bytes) / average))
end

-- Looks at messages that came back. Returns the units left, the shortfall for the next message (nil if that
-- wasn't looked at), whether the customer has more, and whether it had any that came back.
local function serve_returned(s, call, customer, units)
  local key, shortfall, refs, ids = s.returned_of .. customer, nil, {}, {}
  local wanted = fetch_count(call, units)
  local found = redis.call('ZRANGE', key, 0, wanted - 1)
  for i, id in ipairs(found) do
    local ref = ref_of(id, customer)
    local attempts, cost, envelope = split_record(redis.call('HGET', s.kept, ref) or '')
    if not attempts then
      redis.log(redis.LOG_WARNING, 'fair dispatcher: a returned message has vanished')
      s.ready_change = s.ready_change - 1
    elseif cost > units then
      shortfall = cost - units
      break
    else
      units = units - cost
      hand_over(call, ref, attempts + 1, cost, envelope)
    end
    refs[i], ids[i] = ref, id
    if is_full(call) then break end
  end
  if #ids > 0 then
    local kept, returned = call.pass.kept, call.pass.returned
    for _, ref in ipairs(refs) do kept[#kept + 1] = ref end
    returned[#returned + 1] = { key, ids }
  end
  local more = #ids < #found
    or (#found == wanted and redis.call('ZCARD', key) > #ids)
    or redis.call('EXISTS', s.ready_of .. customer) == 1
  return units, shortfall, more, #found > 0
end

-- The same for messages that were never handed over.
local function serve_ready(s, call, customer, units)
  local key, shortfall, ids = s.ready_of .. customer, nil, {}
  local wanted = fetch_count(call, units)
  local entries = redis.call('XRANGE', key, '-', '+', 'COUNT', wanted)
  for i, entry in ipairs(entries) do
    local id = entry[1]
    local envelope, cost, original = split_fields(entry[2])
    if not envelope then
      -- The total of ready messages never counted it, since it wasn't published here.
      bury(s, ref_of(id, customer), 0, 1, 'r', 'undecodable entry', raw_text(entry[2]))
    elseif cost > units then
      shortfall = cost - units
      break
    else
      units = units - cost
      hand_over(call, ref_of(original or id, customer), 1, cost, envelope)
    end
    ids[i] = id
    if is_full(call) then break end
  end
  local pass = call.pass
  if #ids < #entries or (#entries == wanted and redis.call('XLEN', key) > #ids) then
    if #ids > 0 then pass.streams[#pass.streams + 1] = { key, ids } end
    return units, shortfall, true
  end
  pass.emptied[#pass.emptied + 1] = key
  return units, shortfall, false
end

-- Serves one customer; what follows from it for the ring goes into the pass.
local function visit(s, call, customer, stored, alone)
  local schedule, pass = call.schedule, call.pass
  local weight = call.some_weights and tonumber(redis.call('HGET', s.weights, customer)) or 1
  local grant = call.quantum * weight
  if not stored or (call.some_paused and redis.call('SISMEMBER', s.paused, customer) == 1) then
    pass.left[#pass.left + 1] = customer
    schedule.visiting = false
    return
  end
  local units, in_advance = enter(s, schedule, stored, grant), 0
  if alone then
    -- Nobody else waits: as many visits in a row as this call can use.
    in_advance = math.floor(math.min(call.most - call.taken, MOST_FETCH) / grant) * grant
    units = units + in_advance
  end
  local taken_before, shortfall, more, had_returned = call.taken, nil, true, false
  if call.some_kept then units, shortfall, more, had_returned = serve_returned(s, call, customer, units) end
  if not had_returned then units, shortfall, more = serve_ready(s, call, customer, units) end
  local handed_over = call.taken - taken_before
  if handed_over > 0 then
    schedule.fruitless, schedule.least = 0, 0
    call.pass.leased[customer] = (call.pass.leased[customer] or 0) + handed_over
  end
  schedule.visiting = false
  if not more then
    pass.left[#pass.left + 1] = customer
    return
  end
  if shortfall then
    stored = postpone(schedule, units, shortfall, grant)
  else
    -- Of the visits in a row only those count that were needed.
    stored = units - in_advance
    if stored < 0 then stored = stored % grant end
    schedule.visiting = stored > 0
  end
  pass.deficits[#pass.deficits + 1], pass.deficits[#pass.deficits + 2] = customer, stored
  if not schedule.visiting then pass.rotated[#pass.rotated + 1] = customer end
end

local function write_leases(s, call)
  local fields = call.pass.fields
  if #fields == 0 then return end
  if not call.has_token then
    redis.call('ZADD', s.leases, call.deadline, call.token)
    call.has_token = true
  end
  for from = 1, #fields, 500 do
    redis.call('HSET', s.lease_of .. call.token, unpack(fields, from, math.min(from + 499, #fields)))
  end
  s.ready_change = s.ready_change - #fields / 2
  count_leased_all(s, call.pass.leased)
end

local function write_pass(s, call, visits)
  local pass = call.pass
  write_leases(s, call)
  for _, stream in ipairs(pass.streams) do redis.call('XDEL', stream[1], unpack(stream[2])) end
  if #pass.emptied > 0 then redis.call('DEL', unpack(pass.emptied)) end
  if #pass.kept > 0 then redis.call('HDEL', s.kept, unpack(pass.kept)) end
  for _, returned in ipairs(pass.returned) do redis.call('ZREM', returned[1], unpack(returned[2])) end
  if #pass.left > 0 then redis.call('HDEL', s.deficit, unpack(pass.left)) end
  if #pass.deficits > 0 then redis.call('HSET', s.deficit, unpack(pass.deficits)) end
  local gone = call.schedule.visiting and visits - 1 or visits
  if gone > 0 then redis.call('LTRIM', s.ring, gone, -1) end
  if #pass.rotated > 0 then redis.call('RPUSH', s.ring, unpack(pass.rotated)) end
end

-- Visits the next customers until the call is full; returns the number of visits.
local function run_pass(s, call, most_visits)
  local customers = redis.call('LRANGE', s.ring, 0, most_visits - 1)
  if #customers == 0 then return 0 end
  local stored = redis.call('HMGET', s.deficit, unpack(customers))
  local alone = #customers == 1 and most_visits > 1
  call.pass = {
    fields = {}, leased = {}, streams = {}, emptied = {}, kept = {}, returned = {},
    left = {}, deficits = {}, rotated = {}
  }
  local visits, seen = 0, {}
  for i, customer in ipairs(customers) do
    -- A customer that stands in the ring twice after an error must not be read twice before it is written.
    if seen[customer] then break end
    seen[customer], visits = true, i
    visit(s, call, customer, stored[i], alone)
    if call.schedule.visiting or is_full(call) then break end
  end
  write_pass(s, call, visits)
  return visits
end

-- Returns true when it stopped with work left, without having filled the call.
local function serve(s, call)
  local all_visits = 0
  while not is_full(call) do
    local visits_per_message = call.taken > 0 and all_visits / call.taken or 1 / call.quantum
    local useful = math.ceil((call.most - call.taken) * visits_per_message) + 2
    local visits = run_pass(s, call, math.min(useful, MOST_VISITS))
    if visits == 0 then return false end
    all_visits = all_visits + visits
    if all_visits > call.most + VISITS_WITHOUT_MESSAGE then return true end
  end
  return false
end

-- Milliseconds until a lease ends or a delay is over, -1 if nothing is under way; and that moment.
local function next_due(s)
  local lease_end = redis.call('ZRANGE', s.leases, 0, 0, 'WITHSCORES')[2]
  local due = redis.call('ZRANGE', s.due, 0, 0, 'WITHSCORES')[2]
  local first = math.min(tonumber(lease_end or math.huge), tonumber(due or math.huge))
  if first == math.huge then return -1, 0 end
  return math.max(first - s.now, 0), first
end

operation('receive', { 'allow-oom' }, function(s, args)
  local token = args[1]
  if redis.call('ZSCORE', s.void, token) then return { 0, -1, 0 } end
  local more = sweep(s, tonumber(args[6]), tonumber(args[7]))
  join_all(s)
  local deadline = s.now + tonumber(args[2])
  local call = {
    token = token, deadline = deadline, most = tonumber(args[3]), quantum = tonumber(args[4]),
    most_bytes = tonumber(args[5]), taken = 0, bytes = 0, reply = { deadline, -1, redis.call('LLEN', s.ring) },
    schedule = load_schedule(s),
    some_paused = redis.call('EXISTS', s.paused) == 1,
    some_weights = redis.call('EXISTS', s.weights) == 1,
    some_kept = redis.call('EXISTS', s.kept) == 1,
  }
  more = serve(s, call) or more
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
