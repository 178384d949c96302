-- Which dead letters of a customer are meant: given refs, or up to `limit` that died until `cut` (ms).
local function chosen_graves(s, customer, cut, limit, args, from)
  if #args >= from then return { unpack(args, from) } end
  local refs = redis.call('ZRANGEBYSCORE', s.dead_of .. customer, '-inf', cut, 'LIMIT', 0, limit)
  for i, id in ipairs(refs) do refs[i] = ref_of(id, customer) end
  return refs
end
