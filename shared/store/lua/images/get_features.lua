-- Read features and note their use. KEYS: features. ARGV: ttl ms
local value = redis.call('GET', KEYS[1])
if value then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  redis.call('ZADD', FEATURES_USED, 'XX', now_ms(), KEYS[1])
end
return value
