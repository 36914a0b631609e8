-- Begin a conversation that has no question yet; one of this id that is there stays as it is.
-- ARGV: the names below; metadata is JSON
-- Returns its fields.
local tenant, session_id, ttl_ms, metadata = unpack(ARGV)
local key, now = SESSION .. tenant .. ':' .. session_id, now_ms()

if redis.call('EXISTS', key) == 0 then
  redis.call('HSET', key, 'created_ms', now, 'generation', redis.call('INCR', SEQUENCE),
    'ttl_ms', kept_ms(tenant, ttl_ms), 'metadata', metadata)
  touch_session(tenant, session_id, now)
end
return redis.call('HGETALL', key)
