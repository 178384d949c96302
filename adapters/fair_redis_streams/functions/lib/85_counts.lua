-- Ready, leased, delayed and dead messages of one customer.
local function customer_counts(s, customer)
  return {
    redis.call('XLEN', s.ready_of .. customer) + redis.call('ZCARD', s.returned_of .. customer),
    tonumber(redis.call('HGET', s.leased, customer) or 0),
    tonumber(redis.call('HGET', s.waiting, customer) or 0),
    redis.call('ZCARD', s.dead_of .. customer),
  }
end
