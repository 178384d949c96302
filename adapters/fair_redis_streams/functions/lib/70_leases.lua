-- Leases. All messages of one receive are fields of :lease:<token>; whoever removes the field ends the lease.

-- Returns attempts, cost and envelope of a leased message, nil when the token doesn't hold it.
local function leased_message(s, token, ref)
  local record = redis.call('HGET', s.lease_of .. token, ref)
  if not record then return nil end
  return split_record(record)
end

local function end_lease(s, token, ref)
  local _, customer = split_ref(ref)
  if redis.call('HDEL', s.lease_of .. token, ref) == 1 then count_leased(s, customer, -1) end
end

-- Drops the token's bookkeeping when nothing of it is leased any more.
local function tidy_token(s, token)
  if redis.call('EXISTS', s.lease_of .. token) == 0 then
    redis.call('ZREM', s.leases, token)
    redis.call('DEL', s.renewed_of .. token)
  end
end

-- Takes back up to `limit` expired leases of a token; returns how many it looked at.
local function expire_token(s, token, max_attempts, limit)
  local lease, renewed = s.lease_of .. token, {}
  local pairs_of = redis.call('HGETALL', s.renewed_of .. token)
  for i = 1, #pairs_of, 2 do renewed[pairs_of[i]] = tonumber(pairs_of[i + 1]) end
  -- The field '' holds the end of those that were not renewed; without it the token's score does, which is over.
  local end_of_others = renewed[''] or s.now
  local refs, earliest, taken = redis.call('HKEYS', lease), nil, 0
  for _, ref in ipairs(refs) do
    local ends = renewed[ref] or end_of_others
    if ends > s.now then
      if not earliest or ends < earliest then earliest = ends end
    elseif taken < limit then
      taken = taken + 1
      local attempts, cost, envelope = leased_message(s, token, ref)
      if not attempts then
        redis.log(redis.LOG_WARNING, 'fair dispatcher: unreadable lease dropped')
      elseif attempts >= max_attempts then
        bury(s, ref, attempts, cost, 'e', 'lease expired on the last attempt', envelope)
      else
        give_back(s, ref, attempts, cost, envelope)
      end
      end_lease(s, token, ref)
    else
      earliest = s.now
    end
  end
  if earliest then redis.call('ZADD', s.leases, earliest, token) end
  tidy_token(s, token)
  return #refs
end

-- Gives back all that a token holds as if it had never been handed over.
local function undo_token(s, token)
  for _, ref in ipairs(redis.call('HKEYS', s.lease_of .. token)) do
    local attempts, cost, envelope = leased_message(s, token, ref)
    if attempts then give_back(s, ref, attempts - 1, cost, envelope) end
    end_lease(s, token, ref)
  end
  tidy_token(s, token)
end

-- Ends the lease of each message named by token and ref from args[from] on. `move` writes its new place first:
-- move(ref, attempts, cost, envelope). Returns the refs that their tokens don't hold, each after its token.
local function end_each(s, args, from, move)
  local lost = {}
  for at = from, #args, 2 do
    local token, ref = args[at], args[at + 1]
    local attempts, cost, envelope = leased_message(s, token, ref)
    if attempts then
      move(ref, attempts, cost, envelope)
      end_lease(s, token, ref)
      tidy_token(s, token)
    else
      lost[#lost + 1], lost[#lost + 2] = token, ref
    end
  end
  return lost
end
