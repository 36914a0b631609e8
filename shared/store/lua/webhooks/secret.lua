-- Read what a tenant's webhooks are signed with; it is made on first use.
-- KEYS: secret
-- ARGV: the names below; mode is sign, show or rotate, overlap_ms how long an old secret signs
--       beside its successor. The same call again, because its answer was lost on the way, has the
--       same fresh_secret: it neither rotates twice nor hides what nobody has seen
-- Returns secret, previous ('' = none), its end ms ('' = none), created ms, and 1 if it is shown
-- for the first time.
local key = KEYS[1]
local fresh_secret, mode, overlap_ms = unpack(ARGV)

local now = now_ms()
local stored = fields(key, 'secret', 'previous', 'previous_until')
if not stored.secret or (mode == 'rotate' and stored.secret ~= fresh_secret) then
  redis.call('HSET', key, 'secret', fresh_secret, 'created_ms', now)
  redis.call('HDEL', key, 'shown', 'previous', 'previous_until')
  if stored.secret then
    redis.call('HSET', key, 'previous', stored.secret,
      'previous_until', now + tonumber(overlap_ms))
  end
elseif stored.previous and tonumber(stored.previous_until) <= now then
  redis.call('HDEL', key, 'previous', 'previous_until')
end
local show = 0
if mode ~= 'sign' then
  redis.call('HSETNX', key, 'shown', redis.sha1hex(fresh_secret))
  if redis.call('HGET', key, 'shown') == redis.sha1hex(fresh_secret) then show = 1 end
end
stored = fields(key, 'secret', 'previous', 'previous_until', 'created_ms')
return {stored.secret, stored.previous or '', stored.previous_until or '', stored.created_ms, show}
