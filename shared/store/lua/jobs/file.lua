-- File jobs that an older version may have left unfiled; what is filed already stays so.
-- ARGV: tenant, then the jobs
-- Returns 1.
local tenant = ARGV[1]
local FIRST_JOB = 2

local now, index = now_ms(), TENANT_JOBS .. tenant
for job_id in argument_groups(FIRST_JOB, 1) do
  local job = fields(JOB .. job_id, 'status', 'number', 'session_id', 'phase', 'ttl_ms')
  local number = tonumber(job.number or 0)
  local at_ms = now + 2 * tonumber(job.ttl_ms or 0)
  local has_ended = job.status and job.status ~= 'queued' and job.status ~= 'running'
  if job.status and job.session_id and job.session_id ~= '' then
    file_job(index .. JOBS_OF_SESSION .. job.session_id, job_id, number, at_ms, number)
  end
  if has_ended then
    redis.call('ZREM', index .. JOBS_SPLIT, job_id)
    file_job(index .. '/' .. job.status, job_id, number, at_ms, number)
  elseif job.phase and job.phase ~= '' then
    file_job(index .. JOBS_SPLIT, job_id, number, at_ms, number)
  end
end
return 1
