-- Registers one operation. KEYS[1] is the shard's :meta key; all other keys follow from it (see keys.py).
-- PREFIX carries the hash of the whole library, so that two releases share a server.
local function operation(name, flags, body)
  redis.register_function {
    function_name = PREFIX .. name,
    flags = flags,
    callback = function(keys, args)
      local s = keys_of(keys[1])
      s.now = now_ms()
      s.ready_change, s.leased_change, s.joined, s.joining = 0, 0, false, {}
      -- What was done before an error stays done, so it must be counted and announced too.
      local ok, reply = pcall(body, s, args)
      join_all(s)
      write_totals(s)
      if s.joined then wake(s) end
      if ok then return reply end
      return type(reply) == 'table' and reply or redis.error_reply(reply)
    end
  }
end
