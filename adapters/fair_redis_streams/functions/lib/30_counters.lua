-- Counters by customer (fields vanish at 0) and the two totals of the shard, which are written once a call.
local function count(key, customer, by)
  if redis.call('HINCRBY', key, customer, by) == 0 then redis.call('HDEL', key, customer) end
end

local function count_leased(s, customer, by)
  count(s.leased, customer, by)
  s.leased_change = s.leased_change + by
end

-- The same for several customers, given as customer → change.
local function count_leased_all(s, changes)
  local zero = {}
  for customer, change in pairs(changes) do
    if redis.call('HINCRBY', s.leased, customer, change) == 0 then zero[#zero + 1] = customer end
    s.leased_change = s.leased_change + change
    if #zero == 500 then
      redis.call('HDEL', s.leased, unpack(zero))
      zero = {}
    end
  end
  if #zero > 0 then redis.call('HDEL', s.leased, unpack(zero)) end
end

local function write_totals(s)
  if s.ready_change ~= 0 then redis.call('HINCRBY', s.meta, 'ready', s.ready_change) end
  if s.leased_change ~= 0 then redis.call('HINCRBY', s.meta, 'leased', s.leased_change) end
end
