-- The jobs that workers hold. ARGV: most of them to tell
-- Answers for each its predicted busy ms (0 = unknown) and the ms since it was taken.
local now, told = now_ms(), {}
for _, id in ipairs(redis.call('ZRANGE', LEASES, 0, ARGV[1] - 1)) do
  local f = redis.call('HMGET', JOB .. id, 'busy_ms', 'started_ms')
  told[#told + 1] = tonumber(f[1] or 0) or 0
  told[#told + 1] = math.max(0, now - (tonumber(f[2] or now) or now))
end
return told
