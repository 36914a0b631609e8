-- Find lost doorbells: more rows are queued than messages lie in the lists.
-- A doorbell wakes a worker for the job whose turn it is, so that only their number counts. A
-- message that a worker has popped but not answered does not count: the worker may be dead.
-- KEYS: every list that the broker keeps for our queues
-- ARGV: the names below; age_ms is the age of a queued row from which lists are checked
-- Returns id and queue of as many jobs as doorbells are missing.
local age_ms, lock_ms = unpack(ARGV)
local MOST = 1000

-- the clock was set back: a lock that lives longer than it was made to would stop this for as long
if redis.call('PTTL', RECONCILE_LOCK) > tonumber(lock_ms) then redis.call('DEL', RECONCILE_LOCK) end
if not redis.call('SET', RECONCILE_LOCK, 1, 'NX', 'PX', lock_ms) then return {} end
if redis.call('ZCOUNT', QUEUED_SINCE, '-inf', now_ms() - tonumber(age_ms)) == 0 then return {} end
local missing = redis.call('ZCARD', QUEUED_SINCE)
for _, list in ipairs(KEYS) do missing = missing - redis.call('LLEN', list) end
if missing <= 0 then return {} end
local doorbells = {}
for _, job_id in ipairs(redis.call('ZRANGE', QUEUED_SINCE, 0, math.min(missing, MOST) - 1)) do
  local queue = redis.call('HGET', JOB .. job_id, 'queue')
  if queue then
    doorbells[#doorbells + 1] = {job_id, queue}
  else
    redis.call('ZREM', QUEUED, job_id)
    redis.call('ZREM', QUEUED_SINCE, job_id)
  end
end
if #doorbells > 0 then redis.call('HINCRBY', COUNTERS, 'jobs.rung_again', #doorbells) end
return doorbells
