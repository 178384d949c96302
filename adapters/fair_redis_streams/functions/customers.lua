-- Guarantee: a customer that has a message or a policy during the whole listing appears in it once, unless
-- the server rearranges its tables meanwhile, when it may appear twice.
-- ARGV: stage (1–5), cursor of HSCAN, how many of that scan's customers were listed already, limit.
-- Returns: next stage (0: the end), cursor, offset, then customer, ready, leased, delayed, dead of each.
operation('customers', { 'no-writes' }, function(s, args)
  local tables = { s.deficit, s.leased, s.waiting, s.buried, s.policies }
  local stage, cursor, offset, limit = tonumber(args[1]), args[2], tonumber(args[3]), tonumber(args[4])
  local reply = { 0, '0', 0 }

  local function seen_before(customer)
    for earlier = 1, stage - 1 do
      if redis.call('HEXISTS', tables[earlier], customer) == 1 then return true end
    end
    return false
  end

  local listed, scanned = 0, 0
  while stage <= #tables do
    local scan = redis.call('HSCAN', tables[stage], cursor, 'COUNT', limit)
    for i = 2 * offset + 1, #scan[2], 2 do
      if listed == limit or scanned == 10 * limit then
        reply[1], reply[2], reply[3] = stage, cursor, (i - 1) / 2
        return reply
      end
      scanned = scanned + 1
      local customer = scan[2][i]
      local counts = customer_counts(s, customer)
      -- One without messages may still be in the ring until its turn comes; it is listed for its policy, if at all.
      local idle = counts[1] + counts[2] + counts[3] + counts[4] == 0
      if idle and stage == #tables or not idle and not seen_before(customer) then
        listed = listed + 1
        reply[#reply + 1] = customer
        for _, number in ipairs(counts) do reply[#reply + 1] = number end
      end
    end
    cursor, offset = scan[1], 0
    if cursor == '0' then stage = stage + 1 end
  end
  return reply
end)
