-- Take the batch that nobody has worked on for longest.
-- ARGV: the names below
-- Returns its row, or nil when each is in hand.
local owner, lease_ms = unpack(ARGV)
local now = now_ms()

local due = redis.call('ZRANGE', BATCHES_DUE, '-inf', now, 'BYSCORE', 'LIMIT', 0, 1)
if not due[1] then return nil end
local key = BATCH .. due[1]
if redis.call('EXISTS', key) == 0 then
  redis.call('ZREM', BATCHES_DUE, due[1])
  return {}
end
redis.call('HSET', key, 'owner', owner)
redis.call('ZADD', BATCHES_DUE, now + lease_ms, due[1])
return redis.call('HGETALL', key)
