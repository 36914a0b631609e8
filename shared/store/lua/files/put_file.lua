-- Store a file whose pieces were written before; it is there from now on.
-- ARGV: the names below, then names and values of further fields. blob is the name of its content,
--       '' = its pieces are in Redis, and ends tells where each piece of a blob ends
-- Returns 1; 0 where the blob has waited for too long and is being deleted; 2 where Redis has lost
-- pieces since they were written.
local tenant, file_id, ttl_ms, pieces, blob, ends = unpack(ARGV, 1, 6)
local FIRST_FIELD = 7
local key, now = FILE .. tenant .. ':' .. file_id, now_ms()
ttl_ms = kept_ms(tenant, ttl_ms)

-- the same call again: its first answer was lost on the way
if redis.call('EXISTS', key) == 1 then return 1 end
if blob ~= '' then
  if not redis.call('ZSCORE', BLOBS, blob) then return 0 end
  redis.call('SET', key .. FILE_ENDS, ends, 'PX', ttl_ms)
  redis.call('HSET', key, 'blob', blob)
  blob_follows(key, now + ttl_ms + 1000)
elseif redis.call('HLEN', key .. FILE_PIECES) ~= tonumber(pieces) then
  return 2
end
redis.call('HSET', key, 'id', file_id, 'created_ms', now, 'expires_ms', now + ttl_ms,
  'pieces', pieces, unpack(ARGV, FIRST_FIELD))
redis.call('PEXPIREAT', key, now + ttl_ms)
redis.call('PEXPIREAT', key .. FILE_PIECES, now + ttl_ms)
redis.call('ZADD', TENANT_FILES .. tenant, now, file_id)
return 1
