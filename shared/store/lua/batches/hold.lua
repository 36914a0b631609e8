-- Renew the right to work on a batch, or give it back with lease_ms 0.
-- ARGV: the names below
-- Returns its row, or nil when it is somebody else's.
local name, owner, lease_ms = unpack(ARGV)
local key = BATCH .. name

if redis.call('HGET', key, 'owner') ~= owner then return nil end
redis.call('ZADD', BATCHES_DUE, 'XX', now_ms() + lease_ms, name)
if lease_ms == '0' then redis.call('HSET', key, 'owner', '') end
return redis.call('HGETALL', key)
