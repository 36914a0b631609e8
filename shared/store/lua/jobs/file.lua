-- File jobs that an older version may have left unfiled; what is filed already stays so.
-- ARGV: tenant; how many changes older versions had made when this began, with the last of the
--       tenant's jobs ('' = more follow); then the jobs
-- Returns 1.
local tenant, unfiled = unpack(ARGV, 1, 2)
local FIRST_JOB = 3

local now, index, lives = now_ms(), TENANT_JOBS .. tenant, {}
local function file(name, job_id, job)
  redis.call('ZADD', name, job.number, job_id)
  lives[name] = math.max(lives[name] or 0, life_end(now, job.expire_ms, job.ttl_ms))
end

for job_id in argument_groups(FIRST_JOB, 1) do
  local job = fields(JOB .. job_id, 'status', 'number', 'session_id', 'phase', 'ttl_ms',
    'expire_ms')
  if job.status and job.session_id and job.session_id ~= '' then
    file(index .. JOBS_OF_SESSION .. job.session_id, job_id, job)
  end
  if job.status and job.status ~= 'queued' and job.status ~= 'running' then
    redis.call('ZREM', index .. JOBS_SPLIT, job_id)
    file(index .. '/' .. job.status, job_id, job)
  elseif job.phase and job.phase ~= '' then
    file(index .. JOBS_SPLIT, job_id, job)
  end
end
for name, at_ms in pairs(lives) do extend(name, at_ms) end
if unfiled ~= '' then mark_complete(tenant, unfiled) end
return 1
