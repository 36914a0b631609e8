-- The owner, and only the owner, tells how an attempt went.
-- ARGV: id, owner token, outcome (delivered, retry, failed), reason, attempt json, retry ms,
--       health of the endpoint (good, bad, alive, unknown), failures that open the breaker,
--       ms that it stays open, ms of failures that disable, ms that an ended delivery is kept
local id, row = ARGV[1], DELIVERY .. ARGV[1]
local now = now_ms()
local f = redis.call('HMGET', row, 'owner', 'endpoint', 'type', 'primary', 'url_id')
if not f[1] or f[1] ~= ARGV[2] then
  count('deliveries.late_settle_refused')
  return 0
end
local function heal(endpoint)
  redis.call('HDEL', ENDPOINT .. endpoint, 'failures', 'failing_since', 'open_until', 'opened',
    'disabled_ms')
  redis.call('ZREM', ENDPOINTS_OPEN, endpoint)
  redis.call('ZREM', ENDPOINTS_DISABLED, endpoint)
end
local function hurt(endpoint)
  local key = ENDPOINT .. endpoint
  redis.call('HSETNX', key, 'failing_since', now)
  if ARGV[7] == 'alive' then
    -- it answers, if not with success: it holds nobody up
    redis.call('HDEL', key, 'failures', 'open_until', 'opened')
    redis.call('ZREM', ENDPOINTS_OPEN, endpoint)
  elseif redis.call('HINCRBY', key, 'failures', 1) >= tonumber(ARGV[8]) then
    local opened = redis.call('HINCRBY', key, 'opened', 1)
    local pause = math.min(tonumber(ARGV[9]) * 2 ^ math.min(opened - 1, 10), 600000)
    redis.call('HSET', key, 'open_until', string.format('%.0f', now + pause))
    redis.call('ZREMRANGEBYSCORE', ENDPOINTS_OPEN, '-inf', now)
    redis.call('ZADD', ENDPOINTS_OPEN, now + pause, endpoint)
  end
  if now - tonumber(redis.call('HGET', key, 'failing_since')) >= tonumber(ARGV[10]) then
    redis.call('HSETNX', key, 'disabled_ms', now)
    redis.call('ZADD', ENDPOINTS_DISABLED, now + ENDPOINT_TTL_MS, endpoint)
  end
end
redis.call('ZREM', ENDPOINT .. f[2] .. ENDPOINT_HELD, id)
redis.call('RPUSH', row .. DELIVERY_ATTEMPTS, ARGV[5])
redis.call('LTRIM', row .. DELIVERY_ATTEMPTS, -50, -1)
redis.call('HINCRBY', row, 'tries', 1)
count('deliveries.attempts')
if ARGV[7] == 'good' then
  heal(f[2])
  if f[4] then heal(f[4]) end
  redis.call('DEL', GONE_URL .. f[5])
elseif ARGV[7] ~= 'unknown' and not f[4] then
  hurt(f[2])
end
if ARGV[4] == 'url_gone' then redis.call('SET', GONE_URL .. f[5], now, 'PX', ARGV[11]) end
if ARGV[3] == 'retry' then
  local at = now + tonumber(ARGV[6])
  redis.call('HSET', row, 'owner', '', 'due_ms', at)
  redis.call('ZADD', ENDPOINT .. f[2] .. ENDPOINT_DUE, at, id)
elseif f[3] == 'job.progress' then
  forget_delivery(id, now)
else
  conclude(id, ARGV[3], ARGV[4], now, ARGV[11])
end
reschedule(f[2], now)
if f[4] then reschedule(f[4], now) end
return 1
