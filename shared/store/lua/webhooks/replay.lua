-- Send a delivery again now, with a whole new schedule.
-- ARGV: the names below
-- Returns 1, or 0 when it is unknown.
local delivery_id, tenant = unpack(ARGV)

local key = DELIVERY .. delivery_id
local delivery = fields(key, 'tenant', 'owner', 'endpoint')
if not delivery.tenant or delivery.tenant ~= tenant then return 0 end
-- an attempt is under way at this moment, which is what was wanted
if delivery.owner ~= '' then return 1 end
local now = now_ms()
redis.call('HSET', key, 'status', 'pending', 'reason', '', 'tries', 0, 'due_ms', now,
  'ended_ms', '', 'forced', 1, 'delay_ms', 0)
redis.call('PERSIST', key)
redis.call('PERSIST', key .. DELIVERY_ATTEMPTS)
redis.call('ZREM', FAILED_DELIVERIES .. tenant, delivery_id)
redis.call('ZADD', ENDPOINT .. delivery.endpoint .. ENDPOINT_DUE, now, delivery_id)
reschedule(delivery.endpoint, now)
count('deliveries.replayed')
return 1
