-- The indexes of a tenant: its jobs, those of each status and of each conversation, by number.
-- Queued jobs stand in the tenant's line and running ones have leases, so that only the others need
-- an index: jobs that have ended, and long jobs between their cut and their end.

-- Rows expire without leaving their index, so each addition to an index checks a few entries at a
-- random place. Redis seeds Lua's random numbers alike at each call; `turn` differs each time.
local function sweep(index, prefix, turn)
  local CHECKED, RANGE = 4, 2 ^ 31
  local drawn = (turn % 2 ^ 22 * 1103515245 + 12345) % RANGE
  local first = math.floor(drawn / RANGE * redis.call('ZCARD', index))
  for _, member in ipairs(redis.call('ZRANGE', index, first, first + CHECKED - 1)) do
    if redis.call('EXISTS', prefix .. member) == 0 then redis.call('ZREM', index, member) end
  end
end

-- Add a job to an index that lives until `at_ms` at least.
local function file_job(index, job_id, number, at_ms, turn)
  redis.call('ZADD', index, number, job_id)
  sweep(index, JOB, turn)
  extend(index, at_ms)
end

-- Count a change that belongs into an index. Older versions count it too but do not file it, so that
-- the difference between the sum of these and `index.filed` says how much they left unfiled.
local function count_filed(name)
  count(name)
  count('index.filed')
end

-- Return how many changes older versions have made so far, as text.
local function count_unfiled()
  local counts = redis.call('HMGET', COUNTERS, 'index.filed', 'jobs.submitted', 'jobs.split',
    'jobs.succeeded', 'jobs.failed', 'jobs.canceled', 'jobs.expired')
  local unfiled = -tonumber(counts[1] or 0)
  for i = 2, #counts do unfiled = unfiled + tonumber(counts[i] or 0) end
  return string.format('%.0f', unfiled)
end

-- The indexes of a tenant have all that older versions had changed by then.
local function mark_complete(tenant, unfiled)
  local KEPT_S = 7 * 86400
  redis.call('SET', TENANT_JOBS .. tenant .. JOBS_FILED_AT, unfiled, 'EX', KEPT_S)
end

-- Operators see the latest jobs of all tenants that have ended, so many of each status.
local function file_for_operators(job_id, status, now, at_ms)
  local KEPT = 10000
  local index = ENDED .. status
  redis.call('ZREM', SPLIT, job_id)
  redis.call('ZADD', index, now, job_id)
  sweep(index, JOB, now)
  redis.call('ZREMRANGEBYRANK', index, 0, -KEPT - 1)
  extend(index, at_ms)
end

-- A job has ended: file it under its status, and in the other indexes again, which may have expired
-- while nobody was there to end it.
local function file_ended(job_id, tenant, status, now, ttl_ms)
  local job = fields(JOB .. job_id, 'number', 'session_id')
  local number, index, at_ms = tonumber(job.number or 0), TENANT_JOBS .. tenant, now + ttl_ms
  redis.call('ZREM', index .. JOBS_SPLIT, job_id)
  file_job(index .. '/' .. status, job_id, number, at_ms, now)
  redis.call('ZADD', index, number, job_id)
  extend(index, at_ms)
  file_for_operators(job_id, status, now, at_ms)
  if job.session_id and job.session_id ~= '' then
    redis.call('ZADD', index .. JOBS_OF_SESSION .. job.session_id, number, job_id)
    extend(index .. JOBS_OF_SESSION .. job.session_id, at_ms)
  end
end

-- Take a job out of all indexes; return its number, if it had one.
local function unfile_job(job_id, tenant, status, session_id)
  local index = TENANT_JOBS .. tenant
  local number = redis.call('ZSCORE', index, job_id)
  redis.call('ZREM', index, job_id)
  if redis.call('EXISTS', index) == 0 then redis.call('DEL', index .. JOBS_FILED_AT) end
  redis.call('ZREM', index .. JOBS_SPLIT, job_id)
  redis.call('ZREM', index .. '/' .. status, job_id)
  redis.call('ZREM', ENDED .. status, job_id)
  redis.call('ZREM', SPLIT, job_id)
  if session_id and session_id ~= '' then
    redis.call('ZREM', index .. JOBS_OF_SESSION .. session_id, job_id)
  end
  return number
end

-- Note that a tenant has an unfinished job.
local function begin_job(job_id, tenant, now)
  redis.call('SADD', UNFINISHED .. tenant, job_id)
  redis.call('ZADD', UNFINISHED_TENANTS, 'NX', now, tenant)
end

local function end_job(job_id, tenant)
  redis.call('SREM', UNFINISHED .. tenant, job_id)
  if redis.call('EXISTS', UNFINISHED .. tenant) == 0 then
    redis.call('ZREM', UNFINISHED_TENANTS, tenant)
    redis.call('HDEL', CURSORS, UNFINISHED .. tenant)
  end
end
