-- Steps that all scripts share: reading rows and arguments, events, the lines of the tenants,
-- images and conversations. The constants of keys.py stand before this text as locals.
local TURN_SPAN = 1000000 -- the virtual time that a turn of weight 1 takes

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Read fields of a hash into a table by their names; false stands for a missing one.
local function fields(key, ...)
  local names, row = {...}, {}
  for i, value in ipairs(redis.call('HMGET', key, ...)) do row[names[i]] = value end
  return row
end

local function terminal(status)
  return status == 'succeeded' or status == 'failed' or status == 'canceled' or status == 'expired'
end

-- Iterate over the arguments from number `first` on, `size` at a time.
local function argument_groups(first, size)
  local at = first - size
  return function()
    at = at + size
    return unpack(ARGV, at, at + size - 1)
  end
end

local function emit(job_id, kind, data, max)
  local seq = redis.call('HINCRBY', JOB .. job_id, 'events', 1)
  redis.call('XADD', JOB .. job_id .. EVENTS, 'MAXLEN', '~', max or 10000, seq .. '-0',
    'type', kind, 'data', data or '{}')
end

-- Add to a row's text what `text`, which begins at byte `at` of it, says beyond it. A report that
-- comes again adds nothing, and neither does one before which Redis has lost another.
-- Returns what was added, and how many bytes the text has now.
local function add_text(job_id, at, text)
  local key = JOB .. job_id .. JOB_TEXT
  local known = redis.call('STRLEN', key)
  local added = at <= known and string.sub(text, known - at + 1) or ''
  if added == '' then return added, known end
  local total = redis.call('APPEND', key, added)
  if known == 0 then
    -- an older version that ends the job leaves its text behind
    local job = fields(JOB .. job_id, 'expire_ms', 'ttl_ms')
    redis.call('PEXPIREAT', key, job.expire_ms + job.ttl_ms)
  end
  return added, total
end

local function count(name)
  redis.call('HINCRBY', COUNTERS, name, 1)
end

-- Let a key live at least until `at_ms`.
local function extend(key, at_ms)
  if redis.call('PTTL', key) < at_ms - now_ms() then redis.call('PEXPIREAT', key, at_ms) end
end

-- Tenants take turns, so that nobody waits for another's thousand jobs. A turn lasts a virtual time
-- (shorter for a greater weight); the tenant whose next turn is earliest is served next.
-- A line is named after its tenant; the tiles of a tenant's long jobs have a line of their own,
-- with which its other jobs take turns.
local function tiles_line(tenant)
  return tenant .. '\ntiles'
end

local function turn_length(line)
  return math.floor(TURN_SPAN / tonumber(redis.call('HGET', WEIGHTS, line) or 1))
end

local function virtual_now()
  return tonumber(redis.call('GET', TURN) or 0)
end

-- A new line is next, unless it has just had a turn: else every job that comes alone would be next.
local function first_turn(line)
  return math.max(virtual_now(), tonumber(redis.call('ZSCORE', TURNED, line) or 0))
end

-- Add a row's predicted seconds to the backlog (sign 1), or take them out (-1).
local function update_backlog(job_id, sign)
  local busy_ms = tonumber(redis.call('HGET', JOB .. job_id, 'busy_ms') or 0) or 0
  if busy_ms == 0 then return end
  redis.call('HINCRBY', BACKLOG, 'ms', sign * busy_ms)
  redis.call('HINCRBY', BACKLOG, 'jobs', sign)
end

-- Put a row into a line; a row that comes back keeps the place it had there.
local function enqueue(job_id, line, score, now)
  redis.call('HSET', JOB .. job_id, 'status', 'queued', 'owner', '', 'queued_ms', now)
  if redis.call('ZADD', QUEUED, score, job_id) == 1 then update_backlog(job_id, 1) end
  redis.call('ZADD', QUEUED_SINCE, now, job_id)
  redis.call('ZADD', LINE .. line, score, job_id)
  if redis.call('ZSCORE', TURNS, line) then return end
  local next_turn = first_turn(line)
  redis.call('ZREM', TURNED, line)
  redis.call('ZADD', TURNS, next_turn, line)
end

local function dequeue(job_id, line)
  redis.call('ZREM', QUEUED_SINCE, job_id)
  if redis.call('ZREM', QUEUED, job_id) == 1 then update_backlog(job_id, -1) end
  -- an empty queue corrects any error in the sum
  if redis.call('EXISTS', QUEUED) == 0 then redis.call('DEL', BACKLOG) end
  if redis.call('ZREM', LINE .. line, job_id) == 0 then return end
  if redis.call('EXISTS', LINE .. line) == 1 then return end
  local next_turn = tonumber(redis.call('ZSCORE', TURNS, line))
  redis.call('ZREM', TURNS, line)
  if redis.call('EXISTS', TURNS) == 0 then
    -- with nobody waiting there is nobody to be fair to
    redis.call('DEL', TURNED)
    return
  end
  -- turns that it did not use, because its jobs were canceled, do not count against it
  redis.call('ZADD', TURNED, math.min(next_turn, virtual_now() + turn_length(line)), line)
end

-- A line has a turn; out of turn it pays for it, but virtual time does not advance for the others.
local function take_turn(line, in_turn)
  local at = tonumber(redis.call('ZSCORE', TURNS, line))
  if in_turn and at > virtual_now() then
    redis.call('SET', TURN, at)
    redis.call('ZREMRANGEBYSCORE', TURNED, '-inf', at)
  end
  redis.call('ZADD', TURNS, at + turn_length(line), line)
end

-- How many queued jobs will be taken before the one that has `before` others ahead of it in its
-- line, whose next turn is at `next_turn`.
local function ahead_of(line, before, next_turn)
  local at = next_turn + before * turn_length(line)
  local turns = redis.call('ZRANGEBYSCORE', TURNS, '-inf', at, 'WITHSCORES')
  for i = 1, #turns, 2 do
    local other, span = turns[i], at - tonumber(turns[i + 1])
    if other ~= line then
      local length = turn_length(other)
      local taken = math.ceil(span / length)
      -- at the same time the name decides, as it does in the zset
      if span % length == 0 and other < line then taken = taken + 1 end
      before = before + math.min(taken, redis.call('ZCARD', LINE .. other))
    end
  end
  return before
end

-- How many jobs would be taken before a tenant's new one, for each score in `last_scores` below
-- which its other jobs come first.
local function places(tenant, last_scores)
  local next_turn = tonumber(redis.call('ZSCORE', TURNS, tenant) or first_turn(tenant))
  local known, answer = {}, {}
  for i, last_score in ipairs(last_scores) do
    local before = redis.call('ZCOUNT', LINE .. tenant, '-inf', '(' .. last_score)
    known[before] = known[before] or ahead_of(tenant, before, next_turn)
    answer[i] = known[before]
  end
  return answer
end

-- How many queued jobs will be taken before this one if none comes or goes; nil when not queued.
local function position(job_id, line)
  local before = redis.call('ZRANK', LINE .. line, job_id)
  if not before then return nil end
  return ahead_of(line, before, tonumber(redis.call('ZSCORE', TURNS, line)))
end

-- Rows expire without leaving their index, so each addition to an index checks a few entries at a
-- random place. Redis seeds Lua's random numbers alike at each call; `turn` differs each time.
local function sweep(index, prefix, turn)
  local CHECKED, RANGE = 4, 2 ^ 31
  local drawn = (turn % 2 ^ 22 * 1103515245 + 12345) % RANGE
  local first = math.floor(drawn / RANGE * redis.call('ZCARD', index))
  for _, member in ipairs(redis.call('ZRANGE', index, first, first + CHECKED - 1)) do
    if redis.call('EXISTS', prefix .. member) == 0 then redis.call('ZREM', index, member) end
  end
end

-- Add a job to those that need an image; two of the others are checked as in sweep.
local function use_image(image, job_id)
  for _, other in ipairs(redis.call('SRANDMEMBER', image .. IMAGE_JOBS, 2)) do
    if redis.call('EXISTS', JOB .. other) == 0 then
      redis.call('SREM', image .. IMAGE_JOBS, other)
    end
  end
  redis.call('SADD', image .. IMAGE_JOBS, job_id)
end

-- Note the use of a conversation, and let all that its next turn needs live as long as it does.
local function touch_session(tenant, session_id, now)
  local key = SESSION .. tenant .. ':' .. session_id
  local ttl_ms = tonumber(redis.call('HGET', key, 'ttl_ms'))
  if not ttl_ms then return end
  redis.call('HSET', key, 'updated_ms', now)
  redis.call('ZADD', TENANT_SESSIONS .. tenant, now, session_id)
  sweep(TENANT_SESSIONS .. tenant, SESSION .. tenant .. ':', now)
  for _, image in ipairs(redis.call('SMEMBERS', key .. SESSION_IMAGES)) do
    extend(image, now + ttl_ms)
    extend(image .. IMAGE_JOBS, now + ttl_ms)
  end
  for _, name in ipairs({key, key .. SESSION_TURNS, key .. SESSION_IMAGES,
    TENANT_SESSIONS .. tenant}) do extend(name, now + ttl_ms) end
end

local function leave_session(job_id, tenant, session_id)
  local key = SESSION .. tenant .. ':' .. session_id
  if redis.call('HGET', key, 'busy') == job_id then redis.call('HDEL', key, 'busy') end
end
