-- Keep features in the cache role; those used longest ago make room.
-- KEYS: features. ARGV: the names below; max_bytes bounds all features together
local key = KEYS[1]
local value, ttl_ms, max_bytes = unpack(ARGV)
local MOST_EXPIRED = 100

ttl_ms, max_bytes = tonumber(ttl_ms), tonumber(max_bytes)
local now = now_ms()
drop_features(key)
for _, name in ipairs(redis.call('ZRANGEBYSCORE', FEATURES_USED, '-inf', now - ttl_ms, 'LIMIT', 0,
  MOST_EXPIRED)) do
  drop_features(name)
end
while tonumber(redis.call('HGET', FEATURES_BYTES, '') or 0) + #value > max_bytes do
  local oldest = redis.call('ZRANGE', FEATURES_USED, 0, 0)[1]
  if not oldest then break end
  drop_features(oldest)
end
redis.call('SET', key, value, 'PX', ttl_ms)
redis.call('SADD', features_of_file(key), key)
redis.call('PEXPIRE', features_of_file(key), 2 * ttl_ms)
redis.call('ZADD', FEATURES_USED, now, key)
redis.call('HSET', FEATURES_BYTES, key, #value)
redis.call('HINCRBY', FEATURES_BYTES, '', #value)
redis.call('PEXPIRE', FEATURES_USED, 2 * ttl_ms)
redis.call('PEXPIRE', FEATURES_BYTES, 2 * ttl_ms)
return 1
