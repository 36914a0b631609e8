-- Store an image, never shortening the life that a job has given it.
-- KEYS: image. ARGV: ttl ms, then fields
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
extend(KEYS[1], now_ms() + tonumber(ARGV[1]))
return 1
