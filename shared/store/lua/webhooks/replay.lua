-- A caller wants a delivery sent again now, with a whole new schedule.
-- ARGV: id, tenant. Answers 1, or 0 when it is unknown.
local id, row = ARGV[1], DELIVERY .. ARGV[1]
local f = redis.call('HMGET', row, 'tenant', 'owner', 'endpoint', 'url_id')
if not f[1] or f[1] ~= ARGV[2] then return 0 end
-- under way at this moment: that is what was wanted
if f[2] ~= '' then return 1 end
local now = now_ms()
redis.call('HSET', row, 'status', 'pending', 'reason', '', 'tries', 0, 'due_ms', now,
  'ended_ms', '', 'forced', 1)
redis.call('PERSIST', row)
redis.call('PERSIST', row .. DELIVERY_ATTEMPTS)
redis.call('ZREM', FAILED_DELIVERIES .. f[1], id)
redis.call('ZADD', ENDPOINT .. f[3] .. ENDPOINT_DUE, now, id)
reschedule(f[3], now)
count('deliveries.replayed')
return 1
