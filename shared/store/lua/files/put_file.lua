-- Store a file whose pieces were written before; it is there from now on.
-- ARGV: the names below, then names and values of further fields
local tenant, file_id, ttl_ms = unpack(ARGV, 1, 3)
local key, now = FILE .. tenant .. ':' .. file_id, now_ms()
ttl_ms = kept_ms(tenant, ttl_ms)

-- the same call again: its first answer was lost on the way
if redis.call('EXISTS', key) == 1 then return 1 end
redis.call('HSET', key, 'id', file_id, 'created_ms', now, 'expires_ms', now + ttl_ms,
  unpack(ARGV, 4))
redis.call('PEXPIREAT', key, now + ttl_ms)
redis.call('PEXPIREAT', key .. FILE_PIECES, now + ttl_ms)
redis.call('ZADD', TENANT_FILES .. tenant, now, file_id)
return 1
