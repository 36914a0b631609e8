-- Read features and note their use.
-- KEYS: features. ARGV: the names below
-- Returns the value, or nil.
local key, ttl_ms = KEYS[1], ARGV[1]

local value = redis.call('GET', key)
if value then
  redis.call('PEXPIRE', key, ttl_ms)
  redis.call('PEXPIRE', features_of_file(key), 2 * ttl_ms)
  redis.call('ZADD', FEATURES_USED, 'XX', now_ms(), key)
end
return value
