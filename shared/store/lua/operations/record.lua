-- Add a point to the history of the queue, unless this minute has one: of any number of callers one
-- writes it.
-- Returns 1 where it was written, else 0.
local KEPT, MINUTE_MS = 1441, 60000
local COUNTED = {'jobs.submitted', 'jobs.succeeded', 'jobs.failed', 'jobs.canceled', 'jobs.expired'}

local now = now_ms()
local minute = math.floor(now / MINUTE_MS)
-- after a clock that was set back, points of the future must not keep new ones away for long
redis.call('ZREMRANGEBYSCORE', QUEUE_HISTORY, minute + 1, '+inf')
if redis.call('ZCOUNT', QUEUE_HISTORY, minute, minute) > 0 then return 0 end
local oldest = redis.call('ZRANGE', QUEUED_SINCE, 0, 0, 'WITHSCORES')[2]
for _, pool in ipairs(redis.call('SMEMBERS', POOLS)) do
  local first = redis.call('ZRANGE', pooled(QUEUED_SINCE, pool), 0, 0, 'WITHSCORES')[2]
  oldest = first and math.min(tonumber(first), tonumber(oldest or first)) or oldest
end
local point = {now, redis.call('ZCARD', QUEUED), redis.call('ZCARD', DEFERRED),
  redis.call('ZCARD', LEASES), oldest and math.max(0, now - tonumber(oldest)) or 0}
for _, name in ipairs(COUNTED) do
  point[#point + 1] = tonumber(redis.call('HGET', COUNTERS, name) or 0)
end
for at, number in ipairs(point) do point[at] = string.format('%.0f', number) end
redis.call('ZADD', QUEUE_HISTORY, minute, table.concat(point, ':'))
redis.call('ZREMRANGEBYRANK', QUEUE_HISTORY, 0, -KEPT - 1)
redis.call('PEXPIRE', QUEUE_HISTORY, KEPT * MINUTE_MS)
return 1
