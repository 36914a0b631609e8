-- Replace what a caller has noted of a conversation.
-- ARGV: the names below; metadata is JSON
-- Returns its fields, or nil when it is unknown.
local tenant, session_id, metadata = unpack(ARGV)
local key = SESSION .. tenant .. ':' .. session_id

if redis.call('EXISTS', key) == 0 then return nil end
redis.call('HSET', key, 'metadata', metadata)
return redis.call('HGETALL', key)
