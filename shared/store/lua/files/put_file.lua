-- Store a file whose pieces were written before; it is there from now on.
-- ARGV: the names below, then names and values of further fields. blob is the name of its content,
--       '' = its pieces are in Redis, and ends tells where each piece of a blob ends
-- Returns 1, or 0 where the blob has waited for too long and is being deleted.
local tenant, file_id, ttl_ms, blob, ends = unpack(ARGV, 1, 5)
local FIRST_FIELD = 6
local key, now = FILE .. tenant .. ':' .. file_id, now_ms()
ttl_ms = kept_ms(tenant, ttl_ms)

-- the same call again: its first answer was lost on the way
if redis.call('EXISTS', key) == 1 then return 1 end
if blob ~= '' then
  if not redis.call('ZSCORE', BLOBS, blob) then return 0 end
  redis.call('SET', key .. FILE_ENDS, ends, 'PX', ttl_ms)
  redis.call('HSET', key, 'blob', blob)
  blob_follows(key, now + ttl_ms + 1000)
end
redis.call('HSET', key, 'id', file_id, 'created_ms', now, 'expires_ms', now + ttl_ms,
  unpack(ARGV, FIRST_FIELD))
redis.call('PEXPIREAT', key, now + ttl_ms)
redis.call('PEXPIREAT', key .. FILE_PIECES, now + ttl_ms)
redis.call('ZADD', TENANT_FILES .. tenant, now, file_id)
return 1
