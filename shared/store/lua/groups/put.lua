-- Say of a group how many jobs it will have and who is told of its end; it need not be there yet.
-- ARGV: the names below, then names and values of further fields
-- Returns its fields.
local tenant, group, ttl_ms = unpack(ARGV, 1, 3)
local key, now = GROUP .. tenant .. ':' .. group, now_ms()

redis.call('HSETNX', key, 'created_ms', now)
redis.call('HSETNX', key, 'total', 0)
redis.call('HSET', key, 'id', group, 'updated_ms', now, unpack(ARGV, 4))
redis.call('ZADD', TENANT_GROUPS .. tenant, now, group)
extend(key, now + ttl_ms)
extend(TENANT_GROUPS .. tenant, now + ttl_ms)
-- more is promised than there was when its end was told
local row = fields(key, 'size', 'total')
if (tonumber(row.size) or 0) > tonumber(row.total) then redis.call('HDEL', key, 'told', 'completed_ms') end
tell_group(tenant, group, now)
return redis.call('HGETALL', key)
