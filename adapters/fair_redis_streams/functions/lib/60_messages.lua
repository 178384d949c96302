-- Moves of one message between its states. The new place is written before the old one is cleared, so that
-- a function that fails in between leaves a message twice, never nowhere.
local function bury(s, ref, attempts, cost, kind, reason, envelope)
  local id, customer = split_ref(ref)
  local head = string.format('%d:%d:%s:%d:', attempts, cost, kind, #reason)
  redis.call('HSET', s.graves, ref, head .. reason .. envelope)
  if redis.call('ZADD', s.dead, s.now, ref) == 1 then count(s.buried, customer, 1) end
  redis.call('ZADD', s.dead_of .. customer, s.now, id)
  redis.call('HSET', s.again, ref, 1)
end

-- Ready again, before everything that was never handed over, in the order of publishing.
local function give_back(s, ref, attempts, cost, envelope)
  local id, customer = split_ref(ref)
  redis.call('HSET', s.kept, ref, record_of(attempts, cost, envelope))
  redis.call('ZADD', s.returned_of .. customer, string.format('%d', number_of(id)), id)
  redis.call('HSET', s.again, ref, 1)
  s.ready_change = s.ready_change + 1
  recount_rounds(s)
  join(s, customer)
end

-- Ready again from `due` on.
local function delay(s, ref, attempts, cost, envelope, due)
  local _, customer = split_ref(ref)
  redis.call('HSET', s.kept, ref, record_of(attempts, cost, envelope))
  redis.call('ZADD', s.due, due, ref)
  redis.call('SADD', s.delayed_of .. customer, ref)
  redis.call('HSET', s.again, ref, 1)
  count(s.waiting, customer, 1)
  wake_by(s, due)
end

-- A delayed message's time has come.
local function undelay(s, ref)
  local id, customer = split_ref(ref)
  redis.call('ZADD', s.returned_of .. customer, string.format('%d', number_of(id)), id)
  s.ready_change = s.ready_change + 1
  recount_rounds(s)
  join(s, customer)
  redis.call('ZREM', s.due, ref)
  redis.call('SREM', s.delayed_of .. customer, ref)
  count(s.waiting, customer, -1)
end

-- Removes one dead letter and returns its record, nil if there is none.
local function exhume(s, ref)
  local record = redis.call('HGET', s.graves, ref)
  local id, customer = split_ref(ref)
  redis.call('ZREM', s.dead_of .. customer, id)
  if redis.call('ZREM', s.dead, ref) == 1 then count(s.buried, customer, -1) end
  redis.call('HDEL', s.graves, ref)
  redis.call('HDEL', s.again, ref)
  return record
end
