-- Rows that wait although no message for them is in any list: their doorbell was lost.
-- A message that a worker has popped but not answered does not count: the worker may be dead.
-- KEYS: every list that the broker keeps for our queues
-- ARGV: age ms from which a row is looked at, lock ms
-- Answers id, queue, priority of each job whose doorbell must be rung again.
if not redis.call('SET', RECONCILE_LOCK, 1, 'NX', 'PX', ARGV[2]) then return {} end
local old = redis.call('ZRANGEBYSCORE', QUEUED_SINCE, '-inf', now_ms() - tonumber(ARGV[1]))
if #old == 0 then return {} end
local present = {}
for _, list in ipairs(KEYS) do
  for _, message in ipairs(redis.call('LRANGE', list, 0, -1)) do
    local id = string.match(message, 'job_%w+')
    if id then present[id] = true end
  end
end
local ring = {}
for _, id in ipairs(old) do
  if not present[id] then
    local place = redis.call('HMGET', JOB .. id, 'queue', 'priority')
    if place[1] then
      ring[#ring + 1] = {id, place[1], place[2]}
    else
      redis.call('ZREM', QUEUED, id)
      redis.call('ZREM', QUEUED_SINCE, id)
    end
  end
end
if #ring > 0 then redis.call('HINCRBY', COUNTERS, 'jobs.rung_again', #ring) end
return ring
