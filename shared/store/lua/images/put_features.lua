-- Keep features in the cache role; what was used longest ago makes room.
-- KEYS: features. ARGV: value, ttl ms, most bytes in all
local now, ttl, most = now_ms(), tonumber(ARGV[2]), tonumber(ARGV[3])
local function drop(key)
  local size = tonumber(redis.call('HGET', FEATURES_BYTES, key) or 0)
  redis.call('DEL', key)
  redis.call('ZREM', FEATURES_USED, key)
  redis.call('HDEL', FEATURES_BYTES, key)
  -- Lua writes minus nothing as -0, which Redis takes for no integer
  if size > 0 then redis.call('HINCRBY', FEATURES_BYTES, '', -size) end
end
drop(KEYS[1])
for _, key in ipairs(redis.call('ZRANGEBYSCORE', FEATURES_USED, '-inf', now - ttl)) do drop(key) end
while tonumber(redis.call('HGET', FEATURES_BYTES, '') or 0) + #ARGV[1] > most do
  local oldest = redis.call('ZRANGE', FEATURES_USED, 0, 0)[1]
  if not oldest then break end
  drop(oldest)
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ttl)
redis.call('ZADD', FEATURES_USED, now, KEYS[1])
redis.call('HSET', FEATURES_BYTES, KEYS[1], #ARGV[1])
redis.call('HINCRBY', FEATURES_BYTES, '', #ARGV[1])
redis.call('PEXPIRE', FEATURES_USED, 2 * ttl)
redis.call('PEXPIRE', FEATURES_BYTES, 2 * ttl)
return 1
