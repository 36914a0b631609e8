-- Steps of webhook deliveries that several scripts share.
local PROGRESS_GAP_MS = 2000
local ENDPOINT_TTL_MS = 30 * 86400 * 1000
local MAX_BREAKER_MS = 600000

-- How many more deliveries of an endpoint may be under way; one probe after its breaker opened.
local function free_slots(key, now)
  local endpoint = fields(key, 'cap', 'open_until')
  local held = redis.call('ZCARD', key .. ENDPOINT_HELD)
  if not endpoint.open_until then return math.max(0, (tonumber(endpoint.cap) or 1) - held) end
  if now < tonumber(endpoint.open_until) then return 0 end
  return math.max(0, 1 - held)
end

-- Note when an endpoint next needs a courier, and wake one if that is now.
local function reschedule(endpoint_id, now)
  local key, at = ENDPOINT .. endpoint_id, nil
  local due = redis.call('ZRANGE', key .. ENDPOINT_DUE, 0, 0, 'WITHSCORES')
  local held = redis.call('ZRANGE', key .. ENDPOINT_HELD, 0, 0, 'WITHSCORES')
  local open_until = tonumber(redis.call('HGET', key, 'open_until') or 0)
  if due[1] then
    at = math.max(tonumber(due[2]), open_until)
    if at <= now and free_slots(key, now) == 0 then at = nil end
  end
  if held[1] and (not at or tonumber(held[2]) < at) then at = tonumber(held[2]) end
  if not at then
    redis.call('ZREM', DELIVERIES, endpoint_id)
    redis.call('PEXPIRE', key, ENDPOINT_TTL_MS)
    return
  end
  redis.call('PERSIST', key)
  redis.call('ZADD', DELIVERIES, at, endpoint_id)
  if at <= now then
    redis.call('LPUSH', DELIVERIES_BELL, 1)
    redis.call('LTRIM', DELIVERIES_BELL, 0, 0)
  end
end

-- Add a delivery, due at once; further names and values of its row follow `now`.
local function add_delivery(delivery_id, tenant, endpoint_id, origin, now, ...)
  redis.call('HSET', DELIVERY .. delivery_id, 'id', delivery_id, 'tenant', tenant,
    'endpoint', endpoint_id, 'status', 'pending', 'created_ms', now, 'due_ms', now, 'tries', 0,
    'owner', '', ...)
  redis.call('HSET', ENDPOINT .. endpoint_id, 'id', endpoint_id, 'tenant', tenant,
    'origin', origin)
  redis.call('ZADD', ENDPOINT .. endpoint_id .. ENDPOINT_DUE, now, delivery_id)
  reschedule(endpoint_id, now)
end

-- Make a job's event, the newest of its stream, a delivery if its caller asked for such events; return
-- its id or nil. The id is never below the event's number, so that no id names two messages either.
local function notify(job_id, event, kind, now)
  local key = JOB .. job_id
  local job = fields(key, 'webhook', 'webhook_events', 'webhook_endpoint', 'webhook_origin',
    'webhook_url_id', 'tenant', 'status', 'response', 'deliveries', 'events')
  if not job.webhook or job.webhook == '' then return nil end
  if not string.find(job.webhook_events, ',' .. event .. ',', 1, true) then return nil end
  local number = string.format('%.0f', math.max((job.deliveries or 0) + 1, job.events))
  redis.call('HSET', key, 'deliveries', number)
  local delivery_id = 'dlv_' .. string.sub(job_id, 5) .. '_' .. number
  add_delivery(delivery_id, job.tenant, job.webhook_endpoint, job.webhook_origin, now,
    'job', job_id, 'type', kind, 'url', job.webhook, 'url_id', job.webhook_url_id,
    'job_status', job.status, 'api', job.response and 'responses' or '')
  local endpoints = TENANT_ENDPOINTS .. job.tenant
  redis.call('ZADD', endpoints, now, job.webhook_endpoint)
  redis.call('ZREMRANGEBYSCORE', endpoints, '-inf', now - ENDPOINT_TTL_MS)
  redis.call('PEXPIRE', endpoints, ENDPOINT_TTL_MS)
  redis.call('RPUSH', key .. JOB_DELIVERIES, delivery_id)
  return delivery_id
end

local function forget_delivery(delivery_id, now)
  local key = DELIVERY .. delivery_id
  local delivery = fields(key, 'endpoint', 'tenant', 'job')
  if not delivery.endpoint then return end
  redis.call('ZREM', ENDPOINT .. delivery.endpoint .. ENDPOINT_DUE, delivery_id)
  redis.call('ZREM', ENDPOINT .. delivery.endpoint .. ENDPOINT_HELD, delivery_id)
  redis.call('ZREM', FAILED_DELIVERIES .. delivery.tenant, delivery_id)
  if delivery.job then
    redis.call('LREM', JOB .. delivery.job .. JOB_DELIVERIES, 0, delivery_id)
  end
  redis.call('DEL', key, key .. DELIVERY_ATTEMPTS)
  reschedule(delivery.endpoint, now)
end

-- Deliver progress no faster than the receiver takes it: one delivery at a time.
local function notify_progress(job_id, now)
  local key = JOB .. job_id
  local job = fields(key, 'webhook_progress', 'webhook_progress_ms')
  local last, last_ms = job.webhook_progress, job.webhook_progress_ms
  if last and redis.call('EXISTS', DELIVERY .. last) == 1 then return end
  if last_ms and now - tonumber(last_ms) < PROGRESS_GAP_MS then return end
  local delivery_id = notify(job_id, 'progress', 'job.progress', now)
  if delivery_id then
    redis.call('HSET', key, 'webhook_progress', delivery_id, 'webhook_progress_ms', now)
  end
end

-- The end of a job makes progress stale that was not delivered yet.
local function drop_progress(job_id, now)
  local delivery_id = redis.call('HGET', JOB .. job_id, 'webhook_progress')
  if delivery_id and redis.call('HGET', DELIVERY .. delivery_id, 'owner') == '' then
    forget_delivery(delivery_id, now)
  end
end

-- End a delivery; it stays in the ledger for a while.
local function end_delivery(delivery_id, status, reason, now, keep_ms)
  local key = DELIVERY .. delivery_id
  local tenant = redis.call('HGET', key, 'tenant')
  redis.call('HSET', key, 'status', status, 'reason', reason, 'owner', '', 'due_ms', '',
    'ended_ms', now)
  keep_ms = kept_ms(tenant, keep_ms)
  redis.call('PEXPIRE', key, keep_ms)
  redis.call('PEXPIRE', key .. DELIVERY_ATTEMPTS, keep_ms)
  if status == 'failed' then
    local failed = FAILED_DELIVERIES .. tenant
    redis.call('ZREMRANGEBYSCORE', failed, '-inf', now - keep_ms)
    redis.call('ZADD', failed, now, delivery_id)
    redis.call('PEXPIRE', failed, keep_ms)
  end
  count('deliveries.' .. status)
  if reason ~= '' then
    redis.call('HINCRBYFLOAT', FIGURES, 'delivery_failures|reason=' .. reason, 1)
  end
end
