-- Note for the owner, and only for the owner, how an attempt went.
-- ARGV: the names below; outcome is delivered, retry or failed; health is good, bad, alive or
--       unknown; breaker_failures open the breaker for breaker_ms; an endpoint is disabled after
--       failing for disable_ms; an ended delivery is kept for keep_ms
-- Returns 1, or 0 when the delivery is no longer this owner's.
local delivery_id, owner, outcome, reason, attempt_json, retry_ms, health, breaker_failures,
  breaker_ms, disable_ms, keep_ms = unpack(ARGV)
local ATTEMPTS_KEPT = 50

local key = DELIVERY .. delivery_id
local now = now_ms()
local delivery = fields(key, 'owner', 'endpoint', 'type', 'primary', 'url_id')
if not delivery.owner or delivery.owner ~= owner then
  count('deliveries.late_settle_refused')
  return 0
end

local function mark_healthy(endpoint)
  redis.call('HDEL', ENDPOINT .. endpoint, 'failures', 'failing_since', 'open_until', 'opened',
    'disabled_ms')
  redis.call('ZREM', ENDPOINTS_OPEN, endpoint)
  redis.call('ZREM', ENDPOINTS_DISABLED, endpoint)
end

local function open_breaker(endpoint)
  local opened = redis.call('HINCRBY', ENDPOINT .. endpoint, 'opened', 1)
  local pause_ms = math.min(tonumber(breaker_ms) * 2 ^ math.min(opened - 1, 10), MAX_BREAKER_MS)
  redis.call('HSET', ENDPOINT .. endpoint, 'open_until', string.format('%.0f', now + pause_ms))
  redis.call('ZREMRANGEBYSCORE', ENDPOINTS_OPEN, '-inf', now)
  redis.call('ZADD', ENDPOINTS_OPEN, now + pause_ms, endpoint)
end

local function mark_failing(endpoint)
  local endpoint_key = ENDPOINT .. endpoint
  redis.call('HSETNX', endpoint_key, 'failing_since', now)
  if health == 'alive' then
    -- it answers quickly, if not with success, so it does not hold up other deliveries
    redis.call('HDEL', endpoint_key, 'failures', 'open_until', 'opened')
    redis.call('ZREM', ENDPOINTS_OPEN, endpoint)
  elseif redis.call('HINCRBY', endpoint_key, 'failures', 1) >= tonumber(breaker_failures) then
    open_breaker(endpoint)
  end
  if now - tonumber(redis.call('HGET', endpoint_key, 'failing_since')) >= tonumber(disable_ms) then
    redis.call('HSETNX', endpoint_key, 'disabled_ms', now)
    redis.call('ZADD', ENDPOINTS_DISABLED, now + ENDPOINT_TTL_MS, endpoint)
  end
end

redis.call('ZREM', ENDPOINT .. delivery.endpoint .. ENDPOINT_HELD, delivery_id)
redis.call('RPUSH', key .. DELIVERY_ATTEMPTS, attempt_json)
redis.call('LTRIM', key .. DELIVERY_ATTEMPTS, -ATTEMPTS_KEPT, -1)
redis.call('HINCRBY', key, 'tries', 1)
count('deliveries.attempts')
if health == 'good' then
  mark_healthy(delivery.endpoint)
  if delivery.primary then mark_healthy(delivery.primary) end
  redis.call('DEL', GONE_URL .. delivery.url_id)
elseif health ~= 'unknown' and not delivery.primary then
  mark_failing(delivery.endpoint)
end
if reason == 'url_gone' then redis.call('SET', GONE_URL .. delivery.url_id, now, 'PX', keep_ms) end
if outcome == 'retry' then
  local due_ms = now + tonumber(retry_ms)
  redis.call('HSET', key, 'owner', '', 'due_ms', due_ms, 'delay_ms', retry_ms)
  redis.call('ZADD', ENDPOINT .. delivery.endpoint .. ENDPOINT_DUE, due_ms, delivery_id)
elseif delivery.type == 'job.progress' then
  forget_delivery(delivery_id, now)
else
  end_delivery(delivery_id, outcome, reason, now, keep_ms)
end
reschedule(delivery.endpoint, now)
if delivery.primary then reschedule(delivery.primary, now) end
return 1
