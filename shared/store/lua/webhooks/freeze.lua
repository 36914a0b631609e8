-- Let the first attempt decide what is delivered; every later one sends the same.
-- ARGV: the names below
-- Returns the body, or nil when the delivery is no longer this owner's.
local delivery_id, owner, body = unpack(ARGV)

local key = DELIVERY .. delivery_id
if redis.call('HGET', key, 'owner') ~= owner then return nil end
redis.call('HSETNX', key, 'body', body)
return redis.call('HGET', key, 'body')
