-- Steps of webhook deliveries that several transitions share; they stand before the prelude.
local PROGRESS_GAP_MS = 2000
local ENDPOINT_TTL_MS = 30 * 86400 * 1000

-- How many more deliveries of an endpoint may be under way; one probe after its breaker opened.
local function room_of(key, now)
  local f = redis.call('HMGET', key, 'cap', 'open_until')
  local held = redis.call('ZCARD', key .. ENDPOINT_HELD)
  if not f[2] then return math.max(0, (tonumber(f[1]) or 1) - held) end
  if now < tonumber(f[2]) then return 0 end
  return math.max(0, 1 - held)
end

-- Note when an endpoint next needs a courier, and wake one if that is now.
local function reschedule(endpoint, now)
  local key, at = ENDPOINT .. endpoint, nil
  local due = redis.call('ZRANGE', key .. ENDPOINT_DUE, 0, 0, 'WITHSCORES')
  local held = redis.call('ZRANGE', key .. ENDPOINT_HELD, 0, 0, 'WITHSCORES')
  local open_until = tonumber(redis.call('HGET', key, 'open_until') or 0)
  if due[1] then
    at = math.max(tonumber(due[2]), open_until)
    if at <= now and room_of(key, now) == 0 then at = nil end
  end
  if held[1] and (not at or tonumber(held[2]) < at) then at = tonumber(held[2]) end
  if not at then
    redis.call('ZREM', DELIVERIES, endpoint)
    redis.call('PEXPIRE', key, ENDPOINT_TTL_MS)
    return
  end
  redis.call('PERSIST', key)
  redis.call('ZADD', DELIVERIES, at, endpoint)
  if at <= now then
    redis.call('LPUSH', DELIVERIES_BELL, 1)
    redis.call('LTRIM', DELIVERIES_BELL, 0, 0)
  end
end

-- A new delivery, due at once.
local function post(delivery, tenant, endpoint, origin, now, ...)
  redis.call('HSET', DELIVERY .. delivery, 'id', delivery, 'tenant', tenant,
    'endpoint', endpoint, 'status', 'pending', 'created_ms', now, 'due_ms', now, 'tries', 0,
    'owner', '', ...)
  redis.call('HSET', ENDPOINT .. endpoint, 'id', endpoint, 'tenant', tenant, 'origin', origin)
  redis.call('ZADD', ENDPOINT .. endpoint .. ENDPOINT_DUE, now, delivery)
  reschedule(endpoint, now)
end

-- A job's event becomes a delivery if its caller asked for such events.
local function notify(id, event, kind, now)
  local row = JOB .. id
  local f = redis.call('HMGET', row, 'webhook', 'webhook_events', 'webhook_endpoint',
    'webhook_origin', 'webhook_url_id', 'tenant', 'status')
  if not f[1] or f[1] == '' then return nil end
  if not string.find(f[2], ',' .. event .. ',', 1, true) then return nil end
  local number = redis.call('HINCRBY', row, 'deliveries', 1)
  local delivery = 'dlv_' .. string.sub(id, 5) .. '_' .. number
  post(delivery, f[6], f[3], f[4], now, 'job', id, 'type', kind, 'url', f[1], 'url_id', f[5],
    'job_status', f[7])
  redis.call('ZADD', TENANT_ENDPOINTS .. f[6], now, f[3])
  redis.call('ZREMRANGEBYSCORE', TENANT_ENDPOINTS .. f[6], '-inf', now - ENDPOINT_TTL_MS)
  redis.call('PEXPIRE', TENANT_ENDPOINTS .. f[6], ENDPOINT_TTL_MS)
  redis.call('RPUSH', row .. JOB_DELIVERIES, delivery)
  return delivery
end

local function forget_delivery(delivery, now)
  local key = DELIVERY .. delivery
  local f = redis.call('HMGET', key, 'endpoint', 'tenant', 'job')
  if not f[1] then return end
  redis.call('ZREM', ENDPOINT .. f[1] .. ENDPOINT_DUE, delivery)
  redis.call('ZREM', ENDPOINT .. f[1] .. ENDPOINT_HELD, delivery)
  redis.call('ZREM', FAILED_DELIVERIES .. f[2], delivery)
  if f[3] then redis.call('LREM', JOB .. f[3] .. JOB_DELIVERIES, 0, delivery) end
  redis.call('DEL', key, key .. DELIVERY_ATTEMPTS)
  reschedule(f[1], now)
end

-- Progress is told no faster than it is taken: one delivery at a time.
local function notify_progress(id, now)
  local row = JOB .. id
  local f = redis.call('HMGET', row, 'webhook_progress', 'webhook_progress_ms')
  if f[1] and redis.call('EXISTS', DELIVERY .. f[1]) == 1 then return end
  if f[2] and now - tonumber(f[2]) < PROGRESS_GAP_MS then return end
  local delivery = notify(id, 'progress', 'job.progress', now)
  if delivery then
    redis.call('HSET', row, 'webhook_progress', delivery, 'webhook_progress_ms', now)
  end
end

-- The end of a job makes untold progress stale.
local function drop_progress(id, now)
  local last = redis.call('HGET', JOB .. id, 'webhook_progress')
  if last and redis.call('HGET', DELIVERY .. last, 'owner') == '' then
    forget_delivery(last, now)
  end
end

-- A delivery has ended; it stays in the ledger for a while.
local function conclude(delivery, status, why, now, keep_ms)
  local key = DELIVERY .. delivery
  local tenant = redis.call('HGET', key, 'tenant')
  redis.call('HSET', key, 'status', status, 'reason', why, 'owner', '', 'due_ms', '',
    'ended_ms', now)
  redis.call('PEXPIRE', key, keep_ms)
  redis.call('PEXPIRE', key .. DELIVERY_ATTEMPTS, keep_ms)
  if status == 'failed' then
    redis.call('ZREMRANGEBYSCORE', FAILED_DELIVERIES .. tenant, '-inf', now - keep_ms)
    redis.call('ZADD', FAILED_DELIVERIES .. tenant, now, delivery)
    redis.call('PEXPIRE', FAILED_DELIVERIES .. tenant, keep_ms)
  end
  redis.call('HINCRBY', COUNTERS, 'deliveries.' .. status, 1)
  if why ~= '' then redis.call('HINCRBYFLOAT', FIGURES, 'delivery_failures|reason=' .. why, 1) end
end
