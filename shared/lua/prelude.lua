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

-- Put a row into the queue; a row that comes back keeps the place it had.
-- Without a tenant (a tile) it does not make the tenant's next job yield.
local function enqueue(id, tenant, score, now)
  redis.call('HSET', JOB .. id, 'status', 'queued', 'owner', '', 'queued_ms', now)
  redis.call('ZADD', QUEUED, score, id)
  redis.call('ZADD', QUEUED_SINCE, now, id)
  if tenant then redis.call('HINCRBY', WAITING, tenant, 1) end
end

local function dequeue(id, tenant)
  redis.call('ZREM', QUEUED_SINCE, id)
  if redis.call('ZREM', QUEUED, id) == 1 and tenant then lower(WAITING, tenant) end
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
