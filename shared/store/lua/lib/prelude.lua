-- Steps that several transitions share. The names of keys stand before this text.
local TURN_SPAN = 1000000 -- the virtual time that a turn of weight 1 takes

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

local function extend(key, at_ms)
  if redis.call('PTTL', key) < at_ms - now_ms() then redis.call('PEXPIREAT', key, at_ms) end
end

-- Tenants take turns, so that nobody waits for another's thousand jobs. A turn lasts a virtual time
-- (shorter for a greater weight); the tenant whose next turn is earliest is served next.
local function turn_length(tenant)
  return math.floor(TURN_SPAN / tonumber(redis.call('HGET', WEIGHTS, tenant) or 1))
end

local function present()
  return tonumber(redis.call('GET', TURN) or 0)
end

-- A newcomer is next; who has just had a turn is not: else one job after the other would be.
local function first_turn(tenant)
  return math.max(present(), tonumber(redis.call('ZSCORE', TURNED, tenant) or 0))
end

-- The tiles of a tenant's long jobs have a line of their own: its other jobs take turns with them.
local function tiles_line(tenant)
  return tenant .. '\ntiles'
end

-- Add a row's predicted seconds to those that wait (sign 1), or take them out (-1).
local function weigh(id, sign)
  local busy = tonumber(redis.call('HGET', JOB .. id, 'busy_ms') or 0) or 0
  if busy == 0 then return end
  redis.call('HINCRBY', BACKLOG, 'ms', sign * busy)
  redis.call('HINCRBY', BACKLOG, 'jobs', sign)
end

-- Put a row into its tenant's line; a row that comes back keeps the place it had there.
local function enqueue(id, tenant, score, now)
  redis.call('HSET', JOB .. id, 'status', 'queued', 'owner', '', 'queued_ms', now)
  if redis.call('ZADD', QUEUED, score, id) == 1 then weigh(id, 1) end
  redis.call('ZADD', QUEUED_SINCE, now, id)
  redis.call('ZADD', LINE .. tenant, score, id)
  if redis.call('ZSCORE', TURNS, tenant) then return end
  local first = first_turn(tenant)
  redis.call('ZREM', TURNED, tenant)
  redis.call('ZADD', TURNS, first, tenant)
end

local function dequeue(id, tenant)
  redis.call('ZREM', QUEUED_SINCE, id)
  if redis.call('ZREM', QUEUED, id) == 1 then weigh(id, -1) end
  -- whatever went wrong with the sum is mended whenever nothing waits
  if redis.call('EXISTS', QUEUED) == 0 then redis.call('DEL', BACKLOG) end
  if redis.call('ZREM', LINE .. tenant, id) == 0 then return end
  if redis.call('EXISTS', LINE .. tenant) == 1 then return end
  -- what it did not use up, because it canceled, it need not wait for
  local next_turn = tonumber(redis.call('ZSCORE', TURNS, tenant))
  redis.call('ZREM', TURNS, tenant)
  if redis.call('EXISTS', TURNS) == 0 then
    -- with nobody waiting there is nobody to be fair to
    redis.call('DEL', TURNED)
    return
  end
  redis.call('ZADD', TURNED, math.min(next_turn, present() + turn_length(tenant)), tenant)
end

-- A tenant has a turn; out of turn, it pays for it but the others' time does not pass.
local function take_turn(tenant, in_turn)
  local at = tonumber(redis.call('ZSCORE', TURNS, tenant))
  if in_turn and at > present() then
    redis.call('SET', TURN, at)
    redis.call('ZREMRANGEBYSCORE', TURNED, '-inf', at)
  end
  redis.call('ZADD', TURNS, at + turn_length(tenant), tenant)
end

-- How many queued jobs will be taken before the one that comes after `before` of its tenant's, whose
-- next turn is at `next_turn`.
local function ahead_of(tenant, before, next_turn)
  local at = next_turn + before * turn_length(tenant)
  local turns = redis.call('ZRANGEBYSCORE', TURNS, '-inf', at, 'WITHSCORES')
  for i = 1, #turns, 2 do
    local other, ahead = turns[i], at - tonumber(turns[i + 1])
    if other ~= tenant then
      local length = turn_length(other)
      local count = math.ceil(ahead / length)
      -- at the same time the name decides, as it does in the zset
      if ahead % length == 0 and other < tenant then count = count + 1 end
      before = before + math.min(count, redis.call('ZCARD', LINE .. other))
    end
  end
  return before
end

-- How many jobs would be taken before a tenant's new one, for each score in `lasts` below which its
-- other jobs come first.
local function places(tenant, lasts)
  local next_turn = tonumber(redis.call('ZSCORE', TURNS, tenant) or first_turn(tenant))
  local known, told = {}, {}
  for i, last in ipairs(lasts) do
    local before = redis.call('ZCOUNT', LINE .. tenant, '-inf', '(' .. last)
    known[before] = known[before] or ahead_of(tenant, before, next_turn)
    told[i] = known[before]
  end
  return told
end

-- How many queued jobs will be taken before this one if none comes or goes; nil when not queued.
local function position(id, tenant)
  local before = redis.call('ZRANK', LINE .. tenant, id)
  if not before then return nil end
  return ahead_of(tenant, before, tonumber(redis.call('ZSCORE', TURNS, tenant)))
end

-- An index does not hear of a row that expires, so whoever adds to it looks at a few entries
-- anywhere in it. Redis seeds Lua's own random numbers alike at each call: `turn` never repeats.
local function sweep(index, prefix, turn)
  local LOOKED_AT, RANGE = 4, 2 ^ 31
  local drawn = (turn % 2 ^ 22 * 1103515245 + 12345) % RANGE
  local first = math.floor(drawn / RANGE * redis.call('ZCARD', index))
  for _, id in ipairs(redis.call('ZRANGE', index, first, first + LOOKED_AT - 1)) do
    if redis.call('EXISTS', prefix .. id) == 0 then redis.call('ZREM', index, id) end
  end
end

-- A job joins those that need an image; two of the others are looked at, as in an index.
local function use_image(image, id)
  for _, other in ipairs(redis.call('SRANDMEMBER', image .. IMAGE_JOBS, 2)) do
    if redis.call('EXISTS', JOB .. other) == 0 then
      redis.call('SREM', image .. IMAGE_JOBS, other)
    end
  end
  redis.call('SADD', image .. IMAGE_JOBS, id)
end

-- A conversation and all that its next turn needs live on together.
local function touch_session(tenant, session, now)
  local key = SESSION .. tenant .. ':' .. session
  local ttl = tonumber(redis.call('HGET', key, 'ttl_ms'))
  if not ttl then return end
  redis.call('HSET', key, 'updated_ms', now)
  redis.call('ZADD', TENANT_SESSIONS .. tenant, now, session)
  sweep(TENANT_SESSIONS .. tenant, SESSION .. tenant .. ':', now)
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
