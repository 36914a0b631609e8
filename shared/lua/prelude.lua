-- Steps that several transitions share. The names of keys stand before this text.
local PRIORITY_SPAN = 8796093022208 -- 2^43: more jobs than one priority will ever see

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function emit(id, kind, data, max)
  local seq = redis.call('HINCRBY', JOB .. id, 'events', 1)
  redis.call('XADD', JOB .. id .. EVENTS, 'MAXLEN', '~', max or 10000, seq .. '-0',
    'type', kind, 'data', data or '{}')
end

local function count(name)
  redis.call('HINCRBY', COUNTERS, name, 1)
end

local function lower(hash, field)
  if redis.call('HINCRBY', hash, field, -1) <= 0 then redis.call('HDEL', hash, field) end
end

local function extend(key, at_ms)
  if redis.call('PTTL', key) < at_ms - now_ms() then redis.call('PEXPIREAT', key, at_ms) end
end

-- Add a row's predicted seconds to those that wait (sign 1), or take them out (-1).
local function weigh(id, sign)
  local f = redis.call('HMGET', JOB .. id, 'priority', 'busy_ms')
  local busy = tonumber(f[2] or 0) or 0
  if not f[1] or busy == 0 then return end
  if redis.call('HINCRBY', BACKLOG, f[1], sign * busy) <= 0 then
    redis.call('HDEL', BACKLOG, f[1])
  end
end

-- Put a row into the queue; a row that comes back keeps the place it had.
local function enqueue(id, tenant, score, now)
  redis.call('HSET', JOB .. id, 'status', 'queued', 'owner', '', 'queued_ms', now)
  weigh(id, 1)
  redis.call('ZADD', QUEUED, score, id)
  redis.call('ZADD', QUEUED_SINCE, now, id)
  redis.call('HINCRBY', WAITING, tenant, 1)
end

local function dequeue(id, tenant)
  redis.call('ZREM', QUEUED_SINCE, id)
  if redis.call('ZREM', QUEUED, id) == 1 then
    lower(WAITING, tenant)
    weigh(id, -1)
    -- whatever went wrong with the sum is mended whenever nothing waits
    if redis.call('EXISTS', QUEUED) == 0 then redis.call('DEL', BACKLOG) end
  end
end

-- A conversation and all that its next turn needs live on together.
local function touch_session(tenant, session, now)
  local key = SESSION .. tenant .. ':' .. session
  local ttl = tonumber(redis.call('HGET', key, 'ttl_ms'))
  if not ttl then return end
  redis.call('HSET', key, 'updated_ms', now)
  redis.call('ZADD', TENANT_SESSIONS .. tenant, now, session)
  for _, image in ipairs(redis.call('SMEMBERS', key .. SESSION_IMAGES)) do
    extend(image, now + ttl)
    extend(image .. IMAGE_JOBS, now + ttl)
  end
  for _, name in ipairs({key, key .. SESSION_TURNS, key .. SESSION_IMAGES,
    TENANT_SESSIONS .. tenant}) do extend(name, now + ttl) end
end

local function leave_session(id, tenant, session)
  local key = SESSION .. tenant .. ':' .. session
  if redis.call('HGET', key, 'busy') == id then redis.call('HDEL', key, 'busy') end
end

-- The one way into a terminal status: result, event and clean-up in one transaction.
local function terminate(id, tenant, status, now)
  local row = JOB .. id
  local ttl = tonumber(redis.call('HGET', row, 'ttl_ms'))
  redis.call('HSET', row, 'status', status, 'owner', '', 'completed_ms', now,
    'expires_ms', now + ttl)
  dequeue(id, tenant)
  redis.call('ZREM', LEASES, id)
  redis.call('ZREM', EXPIRY, id)
  lower(UNFINISHED, tenant)
  local session = redis.call('HGET', row, 'session_id')
  if session and session ~= '' then leave_session(id, tenant, session) end
  emit(id, 'job.' .. status)
  drop_progress(id, now)
  notify(id, 'completed', 'job.' .. status, now)
  count('jobs.' .. status)
  redis.call('PEXPIREAT', row, now + ttl)
  redis.call('PEXPIREAT', row .. JOB_DELIVERIES, now + ttl)
  redis.call('PEXPIREAT', row .. EVENTS, now + ttl)
end

-- A running row loses its worker: back into the queue, or into the end it has earned.
local function requeue(id, why, now)
  local row = JOB .. id
  local f = redis.call('HMGET', row, 'tenant', 'score', 'cancel', 'expire_ms')
  redis.call('ZREM', LEASES, id)
  if f[3] == '1' then
    terminate(id, f[1], 'canceled', now)
    return nil
  end
  if now >= tonumber(f[4]) then
    terminate(id, f[1], 'expired', now)
    return nil
  end
  enqueue(id, f[1], f[2], now)
  redis.call('HSET', row, 'progress', '')
  emit(id, 'job.queued', cjson.encode({reason = why, position = redis.call('ZRANK', QUEUED, id)}))
  return redis.call('HMGET', row, 'queue', 'priority')
end
