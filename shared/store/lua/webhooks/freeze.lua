-- The first attempt decides what is delivered; every later one says the same.
-- ARGV: id, owner token, body. Answers the body, or nil when the delivery is no longer this owner's.
local row = DELIVERY .. ARGV[1]
if redis.call('HGET', row, 'owner') ~= ARGV[2] then return nil end
redis.call('HSETNX', row, 'body', ARGV[3])
return redis.call('HGET', row, 'body')
