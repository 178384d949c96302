#!lua name=bench_consumer_group
-- The alternative design: the stream of each customer has one consumer group, receive is XREADGROUP inside a
-- server function over the ready ring, the pending list is the lease, and ack checks the owner by XPENDING.
-- As small as it can be while publish, receive and ack promise what the product's do: atomic calls, ids that
-- never repeat, deficit round robin with resumed visits, acks refused to those who are not the owner, nothing
-- left when everything is acked, and an index from which a recovery could find ended leases.
-- KEYS[1]: a prefix of all keys.

local GROUP = 'g'

local function keys_of(prefix)
  return {
    meta = prefix .. ':meta', ring = prefix .. ':ring', deficit = prefix .. ':deficit',
    leases = prefix .. ':leases', stream = prefix .. ':stream:',
  }
end

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- ARGV: for each message customer, cost, envelope. Returns the ids.
local function publish(keys, args)
  local s, ids, seen = keys_of(keys[1]), {}, {}
  local last = tonumber(redis.call('HGET', s.meta, 'number')) or 0
  local number = math.max(last + 1, now_ms() * 1024)
  redis.call('HSET', s.meta, 'number', string.format('%d', number + #args / 3))
  for at = 1, #args, 3 do
    local customer, cost = args[at], args[at + 1]
    local key = s.stream .. customer
    local id = string.format('%d-%d', math.floor(number / 1024), number % 1024)
    number = number + 1
    if cost == '1' then
      redis.call('XADD', key, id, 'm', args[at + 2])
    else
      redis.call('XADD', key, id, 'm', args[at + 2], 'c', cost)
    end
    if not seen[customer] then
      seen[customer] = true
      -- An emptied stream is deleted with its group, so the first entry is alone.
      if redis.call('XLEN', key) == 1 then redis.call('XGROUP', 'CREATE', key, GROUP, '0') end
      if redis.call('HSETNX', s.deficit, customer, 0) == 1 then redis.call('RPUSH', s.ring, customer) end
    end
    ids[#ids + 1] = id
  end
  return ids
end

-- ARGV: owner, lease (ms), most messages, quantum. Returns the deadline, then customer, id, cost and envelope
-- of each. XREADGROUP hands over before the cost is known, so that a deficit may become negative.
local function receive(keys, args)
  local s, owner, most, quantum = keys_of(keys[1]), args[1], tonumber(args[3]), tonumber(args[4])
  local deadline = now_ms() + tonumber(args[2])
  local reply, taken = { deadline }, 0
  local visiting = redis.call('HGET', s.meta, 'visiting') == '1'
  while taken < most do
    local customer = redis.call('LINDEX', s.ring, 0)
    if not customer then
      visiting = false
      break
    end
    local key = s.stream .. customer
    local deficit = tonumber(redis.call('HGET', s.deficit, customer))
    if not visiting then deficit = deficit + quantum end
    local wanted = math.min(deficit, most - taken)
    -- The last ack may have deleted the stream since the customer was put back into the ring: then it fails.
    local found = wanted > 0
      and redis.pcall('XREADGROUP', 'GROUP', GROUP, owner, 'COUNT', wanted, 'STREAMS', key, '>')
    local entries = found and not found.err and found[1][2] or {}
    for _, entry in ipairs(entries) do
      local cost = entry[2][4] or '1'
      deficit = deficit - tonumber(cost)
      local at = #reply
      reply[at + 1], reply[at + 2], reply[at + 3], reply[at + 4] = customer, entry[1], cost, entry[2][2]
    end
    taken = taken + #entries
    if #entries > 0 then redis.call('ZADD', s.leases, 'NX', deadline, customer) end
    visiting = false
    if wanted > 0 and #entries < wanted then
      redis.call('LPOP', s.ring)
      redis.call('HDEL', s.deficit, customer)
    else
      redis.call('HSET', s.deficit, customer, deficit)
      if deficit <= 0 then
        redis.call('LMOVE', s.ring, s.ring, 'LEFT', 'RIGHT')
      else
        visiting = true
      end
    end
  end
  redis.call('HSET', s.meta, 'visiting', visiting and '1' or '0')
  return reply
end

-- The ids that are still the owner's. One XPENDING for all of a customer where they lie side by side.
local function owned(key, owner, ids)
  local mine = {}
  local pending = redis.call('XPENDING', key, GROUP, ids[1], ids[#ids], #ids, owner)
  for _, entry in ipairs(pending) do mine[entry[1]] = true end
  for _, id in ipairs(ids) do
    if not mine[id] then
      local entry = redis.call('XPENDING', key, GROUP, id, id, 1, owner)
      if entry[1] then mine[id] = true end
    end
  end
  return mine
end

-- ARGV: owner, then for each customer its name, the number of ids and the ids. Returns customer and id of
-- those that were lost.
local function ack(keys, args)
  local s, owner, lost, at = keys_of(keys[1]), args[1], {}, 2
  while at <= #args do
    local customer, length = args[at], tonumber(args[at + 1])
    local ids = { unpack(args, at + 2, at + 1 + length) }
    at = at + 2 + length
    local key = s.stream .. customer
    if redis.call('EXISTS', key) == 1 then
      local mine, kept = owned(key, owner, ids), {}
      for _, id in ipairs(ids) do
        if mine[id] then
          kept[#kept + 1] = id
        elseif redis.call('XRANGE', key, id, id)[1] then
          lost[#lost + 1], lost[#lost + 2] = customer, id
        end
      end
      if #kept > 0 then
        redis.call('XACK', key, GROUP, unpack(kept))
        redis.call('XDEL', key, unpack(kept))
        if redis.call('XLEN', key) == 0 then
          redis.call('DEL', key)
          redis.call('ZREM', s.leases, customer)
        end
      end
    end
  end
  return lost
end

redis.register_function { function_name = 'bench_publish', callback = publish }
redis.register_function { function_name = 'bench_receive', callback = receive, flags = { 'allow-oom' } }
redis.register_function { function_name = 'bench_ack', callback = ack, flags = { 'allow-oom' } }
