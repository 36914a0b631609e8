-- Store an image, never shortening the life that a job has given it.
-- KEYS: image. ARGV: the name below, then names and values of fields
local key, ttl_ms = KEYS[1], tonumber(ARGV[1])
local FIRST_FIELD = 2

redis.call('HSET', key, unpack(ARGV, FIRST_FIELD))
extend(key, now_ms() + ttl_ms)
return 1
