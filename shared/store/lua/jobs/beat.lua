-- Renew the leases of a worker's jobs.
-- ARGV: lease ms, then id and owner token of each job
-- Returns a verdict for each job: 0 lost, 1 go on, 2 stop (canceled).
local lease_ms = tonumber(ARGV[1])
local FIRST_JOB = 2

local now, verdicts = now_ms(), {}
for job_id, owner in argument_groups(FIRST_JOB, 2) do
  local job = fields(JOB .. job_id, 'status', 'owner', 'cancel')
  if job.status ~= 'running' or job.owner ~= owner then
    verdicts[#verdicts + 1] = 0
  else
    redis.call('ZADD', LEASES, 'XX', now + lease_ms, job_id)
    verdicts[#verdicts + 1] = job.cancel == '1' and 2 or 1
  end
end
return verdicts
