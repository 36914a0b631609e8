-- Steps that all scripts share: time, reading rows and arguments, events.
-- The constants of keys.py stand before this text as locals.

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

-- Return what names this process of Redis, nil for a user who may not ask.
local function redis_process()
  local info = redis.pcall('INFO', 'server')
  return type(info) == 'string' and string.match(info, 'run_id:(%w+)') or nil
end

-- Return how far the number of a job's next event is from that of its last one. A Redis that comes
-- back may lack the newest events, which clients have read: their numbers are left out then, so that
-- no number names two events. Who may not ask which process this is leaves out a number each
-- millisecond, for time goes on through a restart.
local function event_step(key)
  local process = redis_process()
  local row = fields(key, 'events', 'events_process', 'created_ms')
  local last = tonumber(row.events or 0)
  if last == 0 then
    if process then redis.call('HSET', key, 'events_process', process) end
    return 1
  end
  if not process then return math.max(1, now_ms() - (row.created_ms or 0) - last) end
  if row.events_process == process then return 1 end
  redis.call('HSET', key, 'events_process', process)
  return 1000000
end

local function emit(job_id, kind, data, max)
  local key = JOB .. job_id
  local seq = redis.call('HINCRBY', key, 'events', event_step(key))
  redis.call('XADD', key .. EVENTS, 'MAXLEN', '~', max or 10000, seq .. '-0',
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

-- How long something of a tenant is kept that others keep for `ms`.
local function kept_ms(tenant, ms)
  local most_s = redis.call('HGET', RETENTION, tenant)
  return math.min(tonumber(ms), most_s and most_s * 1000 or math.huge)
end

-- Until when a job that has not ended may need something: its last moment, and its rest after it.
local function life_end(now, expire_ms, ttl_ms)
  return math.max(now + tonumber(ttl_ms), tonumber(expire_ms)) + tonumber(ttl_ms)
end

-- Let a key live at least until `at_ms`.
local function extend(key, at_ms)
  if redis.call('PTTL', key) < at_ms - now_ms() then redis.call('PEXPIREAT', key, at_ms) end
end

-- Iterate over a collection a piece at a time: each call returns the next members, whatever came and
-- went since the last one. `scan` is the command; a hash's answer has values beside the fields.
local function next_members(scan, key, most)
  local cursor = redis.call('HGET', CURSORS, key) or '0'
  local reply = redis.call(scan, key, cursor, 'COUNT', most)
  if reply[1] == '0' then
    redis.call('HDEL', CURSORS, key)
  else
    redis.call('HSET', CURSORS, key, reply[1])
  end
  return reply[2]
end
