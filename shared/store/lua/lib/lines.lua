-- The lines of the tenants: whose turn is next, and where a job stands.
-- Tenants take turns, so that nobody waits for another's thousand jobs. A turn lasts a virtual time
-- (shorter for a greater weight); the tenant whose next turn is earliest is served next.
-- A line is named after its tenant; the tiles of a tenant's long jobs have a line of their own,
-- with which its other jobs take turns.
local TURN_SPAN = 1000000 -- the virtual time that a turn of weight 1 takes

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

-- Of all lines together, each turn that is to come has a slot at its virtual time, so that a rank
-- among the slots is a position in the queue. At the same time the name decides, as it does in TURNS.
local function slot_of(line, at)
  return line .. '\0' .. string.format('%.0f', at)
end

-- Add (or remove) `count` slots of a line from virtual time `at` on.
local function add_slots(line, at, length, count)
  for number = 0, count - 1 do
    redis.call('ZADD', SLOTS, at + number * length, slot_of(line, at + number * length))
  end
end

local function remove_slots(line, at, length, count)
  for number = 0, count - 1 do
    redis.call('ZREM', SLOTS, slot_of(line, at + number * length))
  end
end

-- Give a line as many slots as it has jobs. The work is what has changed since the last time: one
-- slot, unless the line has a new weight or an older version has changed it.
local function align_slots(line)
  local stored = redis.call('HGET', SLOTS_OF, line)
  local count = redis.call('ZCARD', LINE .. line)
  local at = tonumber(redis.call('ZSCORE', TURNS, line) or 0)
  local length = turn_length(line)
  local wanted = string.format('%.0f:%.0f:%.0f', at, length, count)
  if stored == wanted then return end
  if stored then
    local old_at, old_length, old_count = string.match(stored, '^(%d+):(%d+):(%d+)$')
    old_at, old_length, old_count = tonumber(old_at), tonumber(old_length), tonumber(old_count)
    local past = (at - old_at) / length
    if old_length == length and past >= 0 and past <= old_count and past % 1 == 0 then
      remove_slots(line, old_at, length, past)
      local kept = old_count - past
      remove_slots(line, at + count * length, length, kept - count)
      add_slots(line, at + kept * length, length, count - kept)
    else
      remove_slots(line, old_at, old_length, old_count)
      add_slots(line, at, length, count)
    end
  else
    add_slots(line, at, length, count)
  end
  if count == 0 then
    redis.call('HDEL', SLOTS_OF, line)
  else
    redis.call('HSET', SLOTS_OF, line, wanted)
  end
end

-- Add a row's predicted seconds to the backlog (sign 1), or take them out (-1).
local function update_backlog(job_id, sign)
  local busy_ms = tonumber(redis.call('HGET', JOB .. job_id, 'busy_ms') or 0) or 0
  if busy_ms == 0 then return end
  redis.call('HINCRBY', BACKLOG, 'ms', sign * busy_ms)
  redis.call('HINCRBY', BACKLOG, 'jobs', sign)
end

-- A row comes into a line before others that some workers have passed over: they look again.
local function look_again(line, score)
  for _, version in ipairs(redis.call('SMEMBERS', PASSED)) do
    local passed = redis.call('HGET', PASSED_BY .. version, line)
    if passed and (passed == '+inf' or tonumber(score) <= tonumber(passed)) then
      redis.call('HSET', PASSED_BY .. version, line, string.format('%.0f', score - 1))
    end
  end
end

-- Put a row into a line; a row that comes back keeps the place it had there.
local function enqueue(job_id, line, score, now)
  redis.call('HSET', JOB .. job_id, 'status', 'queued', 'owner', '', 'queued_ms', now)
  if redis.call('ZADD', QUEUED, score, job_id) == 1 then update_backlog(job_id, 1) end
  redis.call('ZADD', QUEUED_SINCE, now, job_id)
  redis.call('ZADD', LINE .. line, score, job_id)
  look_again(line, score)
  if not redis.call('ZSCORE', TURNS, line) then
    local next_turn = first_turn(line)
    redis.call('ZREM', TURNED, line)
    redis.call('ZADD', TURNS, next_turn, line)
  end
  align_slots(line)
end

-- The last job of a line has left it.
local function leave_turns(line)
  local next_turn = tonumber(redis.call('ZSCORE', TURNS, line) or 0)
  redis.call('ZREM', TURNS, line)
  if redis.call('EXISTS', TURNS) == 0 then
    -- with nobody waiting there is nobody to be fair to
    redis.call('DEL', TURNED, SLOTS, SLOTS_OF)
    return
  end
  -- turns that it did not use, because its jobs were canceled, do not count against it
  redis.call('ZADD', TURNED, math.min(next_turn, virtual_now() + turn_length(line)), line)
end

-- The first moment from now on at which a job may start: DailyWindow.next_ms counts the same.
-- window_changes are the moments at which the clock of the window is changed, and by how much it is
-- then ahead of what window_start_ms was counted with.
local function start_of(job, now)
  local DAY_MS = 86400000
  local at = math.max(now, tonumber(job.not_before_ms or 0))
  if not job.window_ms then return at end
  local start, length = tonumber(job.window_start_ms), tonumber(job.window_ms)
  local changes = job.window_changes and cjson.decode(job.window_changes) or {}
  local ahead = 0
  for _, change in ipairs(changes) do
    if at < change[1] then
      local past = (at + ahead - start) % DAY_MS
      local opens = past < length and at or at + DAY_MS - past
      if opens < change[1] then return opens end
      at = change[1]
    end
    ahead = change[2]
  end
  local past = (at + ahead - start) % DAY_MS
  return past < length and at or at + DAY_MS - past
end

-- Let a job wait for its time outside of its line; it is queued all the same.
local function defer(job_id, tenant, number, at)
  redis.call('HSET', JOB .. job_id, 'status', 'queued', 'owner', '')
  redis.call('ZADD', DEFERRED, at, job_id)
  redis.call('ZADD', TENANT_DEFERRED .. tenant, number, job_id)
end

local function end_deferral(job_id, tenant)
  if redis.call('ZREM', DEFERRED, job_id) == 0 then return end
  redis.call('ZREM', TENANT_DEFERRED .. tenant, job_id)
end

local function dequeue(job_id, line)
  end_deferral(job_id, line)
  redis.call('ZREM', QUEUED_SINCE, job_id)
  if redis.call('ZREM', QUEUED, job_id) == 1 then update_backlog(job_id, -1) end
  -- an empty queue corrects any error in the sum
  if redis.call('EXISTS', QUEUED) == 0 then redis.call('DEL', BACKLOG) end
  if redis.call('ZREM', LINE .. line, job_id) == 0 then return end
  if redis.call('EXISTS', LINE .. line) == 0 then leave_turns(line) end
  align_slots(line)
end

-- A line has a turn; out of turn it pays for it, but virtual time does not advance for the others.
local function take_turn(line, in_turn)
  local at = tonumber(redis.call('ZSCORE', TURNS, line) or first_turn(line))
  if in_turn and at > virtual_now() then
    redis.call('SET', TURN, at)
    redis.call('ZREMRANGEBYSCORE', TURNED, '-inf', at)
  end
  redis.call('ZADD', TURNS, at + turn_length(line), line)
end

-- Whether a name comes before another as bytes, which is how Redis orders members.
local function precedes(one, other)
  for i = 1, math.min(#one, #other) do
    local a, b = string.byte(one, i), string.byte(other, i)
    if a ~= b then return a < b end
  end
  return #one < #other
end

-- How many queued jobs will be taken before the one that has `before` others ahead of it in its
-- line, whose next turn is at `next_turn`. The slot need not exist: it is looked for by halving.
local function ahead_of(line, before, next_turn)
  local at = next_turn + before * turn_length(line)
  local slot = slot_of(line, at)
  local rank = redis.call('ZRANK', SLOTS, slot)
  if rank then return rank end
  local low = redis.call('ZCOUNT', SLOTS, '-inf', '(' .. string.format('%.0f', at))
  local high = redis.call('ZCOUNT', SLOTS, '-inf', string.format('%.0f', at))
  while low < high do
    local middle = math.floor((low + high) / 2)
    if precedes(redis.call('ZRANGE', SLOTS, middle, middle)[1], slot) then
      low = middle + 1
    else
      high = middle
    end
  end
  return low
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
