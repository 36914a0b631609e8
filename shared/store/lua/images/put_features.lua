-- Keep features in the cache role; those used longest ago make room.
-- KEYS: features. ARGV: the names below; max_bytes bounds all features together
local key = KEYS[1]
local value, ttl_ms, max_bytes = unpack(ARGV)
local MOST_EXPIRED = 100

ttl_ms, max_bytes = tonumber(ttl_ms), tonumber(max_bytes)
local now = now_ms()
local function drop(name)
  local size = tonumber(redis.call('HGET', FEATURES_BYTES, name) or 0)
  redis.call('DEL', name)
  redis.call('ZREM', FEATURES_USED, name)
  redis.call('HDEL', FEATURES_BYTES, name)
  -- Lua writes minus nothing as -0, which Redis takes for no integer
  if size > 0 then redis.call('HINCRBY', FEATURES_BYTES, '', -size) end
end

drop(key)
for _, name in ipairs(redis.call('ZRANGEBYSCORE', FEATURES_USED, '-inf', now - ttl_ms, 'LIMIT', 0,
  MOST_EXPIRED)) do
  drop(name)
end
while tonumber(redis.call('HGET', FEATURES_BYTES, '') or 0) + #value > max_bytes do
  local oldest = redis.call('ZRANGE', FEATURES_USED, 0, 0)[1]
  if not oldest then break end
  drop(oldest)
end
redis.call('SET', key, value, 'PX', ttl_ms)
redis.call('ZADD', FEATURES_USED, now, key)
redis.call('HSET', FEATURES_BYTES, key, #value)
redis.call('HINCRBY', FEATURES_BYTES, '', #value)
redis.call('PEXPIRE', FEATURES_USED, 2 * ttl_ms)
redis.call('PEXPIRE', FEATURES_BYTES, 2 * ttl_ms)
return 1
