-- Find lost doorbells: more rows of a pool are queued than messages lie in the lists.
-- A doorbell wakes a worker for the job whose turn it is, so that only their number counts. A
-- message that a worker has popped but not answered does not count: the worker may be dead.
-- KEYS: every list that the broker keeps for the queues in which the pool's doorbells are rung
-- ARGV: the names below; age_ms is the age of a queued row from which lists are checked
-- Returns id and queue of as many jobs as doorbells are missing.
local age_ms, lock_ms, pool = unpack(ARGV)
local MOST = 1000

local lock, since = pooled(RECONCILE_LOCK, pool), pooled(QUEUED_SINCE, pool)
-- the clock was set back: a lock that lives longer than it was made to would stop this for as long
if redis.call('PTTL', lock) > tonumber(lock_ms) then redis.call('DEL', lock) end
if not redis.call('SET', lock, 1, 'NX', 'PX', lock_ms) then return {} end
if redis.call('ZCOUNT', since, '-inf', now_ms() - tonumber(age_ms)) == 0 then return {} end
local missing = redis.call('ZCARD', since)
for _, list in ipairs(KEYS) do missing = missing - redis.call('LLEN', list) end
if missing <= 0 then return {} end

-- A row that waits for all workers may be for those of one model: only they need to hear of it.
local function heard_in(job)
  local meant = meant_model(job)
  local is_served = meant ~= '' and redis.call('EXISTS', SERVES .. meant) == 1
  if bell_of(job) == job.queue and is_served then return MODEL_QUEUE .. meant end
  return bell_of(job)
end

local doorbells = {}
for _, job_id in ipairs(redis.call('ZRANGE', since, 0, math.min(missing, MOST) - 1)) do
  local job = fields(JOB .. job_id, 'queue', 'pool', 'asked', 'model')
  if job.queue then
    doorbells[#doorbells + 1] = {job_id, heard_in(job)}
  else
    redis.call('ZREM', QUEUED, job_id)
    redis.call('ZREM', since, job_id)
  end
end
if #doorbells > 0 then redis.call('HINCRBY', COUNTERS, 'jobs.rung_again', #doorbells) end
return doorbells
