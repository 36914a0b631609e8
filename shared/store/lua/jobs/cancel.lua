-- Cancel a queued job at once, or ask the worker of a running one to stop.
-- ARGV: the names below
-- Returns canceled, canceling, missing, or the terminal status that the job had.
local job_id, tenant = unpack(ARGV)

local key = JOB .. job_id
local job = fields(key, 'status', 'tenant', 'phase', 'parent')
if not job.status or job.tenant ~= tenant or job.parent then return 'missing' end
-- a long job whose tiles are worked on has no worker that could be asked
if job.status == 'queued' or (job.status == 'running' and job.phase == 'tiles') then
  terminate(job_id, tenant, 'canceled', now_ms())
  return 'canceled'
end
if job.status == 'running' then
  redis.call('HSET', key, 'cancel', '1')
  return 'canceling'
end
return job.status
