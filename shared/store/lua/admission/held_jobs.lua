-- List the jobs that workers hold.
-- ARGV: the most of them to list
-- Returns of each its predicted busy ms (0 = unknown) and the ms since it was claimed, flat.
local most = tonumber(ARGV[1])

local now, flat = now_ms(), {}
for _, job_id in ipairs(redis.call('ZRANGE', LEASES, 0, most - 1)) do
  local job = fields(JOB .. job_id, 'busy_ms', 'started_ms')
  flat[#flat + 1] = tonumber(job.busy_ms or 0) or 0
  flat[#flat + 1] = math.max(0, now - (tonumber(job.started_ms or now) or now))
end
return flat
