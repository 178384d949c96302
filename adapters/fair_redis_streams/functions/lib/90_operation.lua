-- Registers one operation. KEYS[1] is the shard's :meta key; all other keys follow from it (see keys.py).
-- PREFIX carries the hash of the whole library, so that two releases share a server.
--
-- The server undoes nothing when a function fails. What was done before stays done, so it is counted and
-- announced too; and the error's code says that this is not a refusal.
local HALF_WAY = 'HALFWAY '

local function announce(s)
  if s.joined then wake(s) end
end

local LAST_STEPS = { join_all, write_totals, announce }

local function operation(name, flags, body)
  redis.register_function {
    function_name = PREFIX .. name,
    flags = flags,
    callback = function(keys, args)
      local s = keys_of(keys[1])
      s.now = now_ms()
      s.ready_change, s.leased_change, s.joined, s.joining = 0, 0, false, {}
      local ok, reply = pcall(body, s, args)
      for _, step in ipairs(LAST_STEPS) do
        local done, problem = pcall(step, s)
        if ok and not done then ok, reply = false, problem end
      end
      if ok then return reply end
      return redis.error_reply(HALF_WAY .. (type(reply) == 'table' and reply.err or reply))
    end
  }
end
