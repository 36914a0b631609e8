-- What a tenant's webhooks are signed with; made on first use.
-- KEYS: secret. ARGV: fresh secret, mode (sign, show, rotate), ms that the old one signs beside
-- Answers secret, previous ('' = none), its end ms, created ms, whether it may be shown now.
local key, now = KEYS[1], now_ms()
local f = redis.call('HMGET', key, 'secret', 'previous', 'previous_until')
if not f[1] or ARGV[2] == 'rotate' then
  redis.call('HSET', key, 'secret', ARGV[1], 'created_ms', now)
  redis.call('HDEL', key, 'shown', 'previous', 'previous_until')
  if f[1] then
    redis.call('HSET', key, 'previous', f[1], 'previous_until', now + tonumber(ARGV[3]))
  end
elseif f[2] and tonumber(f[3]) <= now then
  redis.call('HDEL', key, 'previous', 'previous_until')
end
local show = ARGV[2] ~= 'sign' and redis.call('HSETNX', key, 'shown', 1) or 0
f = redis.call('HMGET', key, 'secret', 'previous', 'previous_until', 'created_ms')
return {f[1], f[2] or '', f[3] or '', f[4], show}
