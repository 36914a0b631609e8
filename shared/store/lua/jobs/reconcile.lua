-- More rows wait than doorbells lie in the lists: some bells were lost, and are rung again.
-- A bell wakes a worker for whoever's turn it is, so that their number is all that counts. A message
-- that a worker has popped but not answered does not count: the worker may be dead.
-- KEYS: every list that the broker keeps for our queues
-- ARGV: age ms from which a row makes us look, lock ms
-- Answers id and queue of as many jobs as there are bells to ring.
local MOST = 1000
if not redis.call('SET', RECONCILE_LOCK, 1, 'NX', 'PX', ARGV[2]) then return {} end
if redis.call('ZCOUNT', QUEUED_SINCE, '-inf', now_ms() - tonumber(ARGV[1])) == 0 then return {} end
local missing = redis.call('ZCARD', QUEUED_SINCE)
for _, list in ipairs(KEYS) do missing = missing - redis.call('LLEN', list) end
if missing <= 0 then return {} end
local ring = {}
for _, id in ipairs(redis.call('ZRANGE', QUEUED_SINCE, 0, math.min(missing, MOST) - 1)) do
  local f = redis.call('HMGET', JOB .. id, 'queue', 'tenant')
  if f[1] then
    ring[#ring + 1] = {id, f[1]}
  else
    redis.call('ZREM', QUEUED, id)
    redis.call('ZREM', QUEUED_SINCE, id)
  end
end
if #ring > 0 then redis.call('HINCRBY', COUNTERS, 'jobs.rung_again', #ring) end
return ring
