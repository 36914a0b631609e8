-- Store a batch, which a gateway's pump then takes.
-- ARGV: the names below, then names and values of further fields; kept_after_ms is how long it
--       is known after its window
local tenant, batch_id, window_ms, kept_after_ms = unpack(ARGV, 1, 4)
local name = tenant .. ':' .. batch_id
local key, now = BATCH .. name, now_ms()
kept_after_ms = kept_ms(tenant, kept_after_ms)

-- the same call again: its first answer was lost on the way
if redis.call('EXISTS', key) == 1 then return redis.call('HGETALL', key) end
redis.call('HSET', key, 'id', batch_id, 'tenant', tenant, 'status', 'validating', 'owner', '',
  'created_ms', now, 'expires_ms', now + window_ms, 'kept_until_ms', now + window_ms + kept_after_ms,
  'next', 0, 'total', 0, 'completed', 0, 'failed', 0, unpack(ARGV, 5))
redis.call('PEXPIREAT', key, now + window_ms + kept_after_ms)
redis.call('ZADD', BATCHES_DUE, now, name)
redis.call('ZADD', TENANT_BATCHES .. tenant, now, batch_id)
return redis.call('HGETALL', key)
