-- The lines of the tenants: whose turn is next, and where a job stands.
-- Tenants take turns, so that nobody waits for another's thousand jobs. A turn lasts a virtual time
-- (shorter for a greater weight); the tenant whose next turn is earliest is served next.
-- A line is named after its tenant; the tiles of a tenant's long jobs have a line of their own,
-- with which its other jobs take turns.
-- Lines belong to pools. That without a name is for whoever reads it, as it was before there were
-- pools; each other one is for the workers of a model, and has turns, slots and sums of its own.
local TURN_SPAN = 1000000 -- the virtual time that a turn of weight 1 takes

-- What a pool has of a kind of keys.
local function pooled(name, pool)
  return pool == '' and name or name .. '\n' .. pool
end

local function line_name(tenant, pool, is_tile)
  return tenant .. (is_tile and '\ntiles' or '') .. ((pool or '') ~= '' and '\n@' .. pool or '')
end

-- The line that a row stands in, or would.
local function line_of(job_id, tenant)
  local job = fields(JOB .. job_id, 'pool', 'parent')
  return line_name(tenant, job.pool, job.parent)
end

local function pool_of(line)
  local _, mark = string.find(line, '\n@', 1, true)
  return mark and string.sub(line, mark + 1) or ''
end

-- How many jobs of a tenant wait, of all models, those too whose time has not come.
local function waiting_of(tenant)
  local count = redis.call('ZCARD', LINE .. tenant) + redis.call('ZCARD', TENANT_DEFERRED .. tenant)
  for _, pool in ipairs(redis.call('SMEMBERS', POOLS)) do
    count = count + redis.call('ZCARD', LINE .. line_name(tenant, pool))
  end
  return count
end

local function turn_length(line)
  -- a tenant's weight counts for each model alike
  local mark = string.find(line, '\n@', 1, true)
  local weighed = mark and string.sub(line, 1, mark - 1) or line
  return math.floor(TURN_SPAN / tonumber(redis.call('HGET', WEIGHTS, weighed) or 1))
end

local function virtual_now(pool)
  return tonumber(redis.call('GET', pooled(TURN, pool)) or 0)
end

-- A new line is next, unless it has just had a turn: else every job that comes alone would be next.
local function first_turn(line)
  local pool = pool_of(line)
  local turned = redis.call('ZSCORE', pooled(TURNED, pool), line)
  return math.max(virtual_now(pool), tonumber(turned or 0))
end

-- Of all lines together, each turn that is to come has a slot at its virtual time, so that a rank
-- among the slots is a position in the queue. At the same time the name decides, as it does in TURNS.
local function slot_of(line, at)
  return line .. '\0' .. string.format('%.0f', at)
end

-- Add (or remove) `count` slots of a line from virtual time `at` on.
local function add_slots(line, at, length, count)
  local slots = pooled(SLOTS, pool_of(line))
  for number = 0, count - 1 do
    redis.call('ZADD', slots, at + number * length, slot_of(line, at + number * length))
  end
end

local function remove_slots(line, at, length, count)
  local slots = pooled(SLOTS, pool_of(line))
  for number = 0, count - 1 do
    redis.call('ZREM', slots, slot_of(line, at + number * length))
  end
end

-- Give a line as many slots as it has jobs. The work is what has changed since the last time: one
-- slot, unless the line has a new weight or an older version has changed it.
local function align_slots(line)
  local pool = pool_of(line)
  local slots_of = pooled(SLOTS_OF, pool)
  local stored = redis.call('HGET', slots_of, line)
  local count = redis.call('ZCARD', LINE .. line)
  local at = tonumber(redis.call('ZSCORE', pooled(TURNS, pool), line) or 0)
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
    redis.call('HDEL', slots_of, line)
  else
    redis.call('HSET', slots_of, line, wanted)
  end
end

-- Add a row's predicted seconds to the backlog (sign 1), or take them out (-1).
local function update_backlog(job_id, pool, sign)
  local busy_ms = tonumber(redis.call('HGET', JOB .. job_id, 'busy_ms') or 0) or 0
  if busy_ms == 0 then return end
  redis.call('HINCRBY', pooled(BACKLOG, pool), 'ms', sign * busy_ms)
  redis.call('HINCRBY', pooled(BACKLOG, pool), 'jobs', sign)
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
  local pool = pool_of(line)
  if pool ~= '' then redis.call('SADD', POOLS, pool) end
  redis.call('HSET', JOB .. job_id, 'status', 'queued', 'owner', '', 'queued_ms', now)
  if redis.call('ZADD', QUEUED, score, job_id) == 1 then update_backlog(job_id, pool, 1) end
  redis.call('ZADD', pooled(QUEUED_SINCE, pool), now, job_id)
  redis.call('ZADD', LINE .. line, score, job_id)
  look_again(line, score)
  local turns = pooled(TURNS, pool)
  if not redis.call('ZSCORE', turns, line) then
    local next_turn = first_turn(line)
    redis.call('ZREM', pooled(TURNED, pool), line)
    redis.call('ZADD', turns, next_turn, line)
  end
  align_slots(line)
end

-- The last job of a line has left it.
local function leave_turns(line)
  local pool = pool_of(line)
  local turns = pooled(TURNS, pool)
  local next_turn = tonumber(redis.call('ZSCORE', turns, line) or 0)
  redis.call('ZREM', turns, line)
  if redis.call('EXISTS', turns) == 0 then
    -- with nobody waiting there is nobody to be fair to
    redis.call('DEL', pooled(TURNED, pool), pooled(SLOTS, pool), pooled(SLOTS_OF, pool))
    return
  end
  -- turns that it did not use, because its jobs were canceled, do not count against it
  redis.call('ZADD', pooled(TURNED, pool),
    math.min(next_turn, virtual_now(pool) + turn_length(line)), line)
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
  local pool = pool_of(line)
  local since = pooled(QUEUED_SINCE, pool)
  end_deferral(job_id, string.match(line, '^[^\n]*'))
  redis.call('ZREM', since, job_id)
  if redis.call('ZREM', QUEUED, job_id) == 1 then update_backlog(job_id, pool, -1) end
  -- an empty queue corrects any error in the sum
  if redis.call('EXISTS', since) == 0 then redis.call('DEL', pooled(BACKLOG, pool)) end
  if redis.call('ZREM', LINE .. line, job_id) == 0 then return end
  if redis.call('EXISTS', LINE .. line) == 0 then leave_turns(line) end
  align_slots(line)
end

-- A line has a turn; out of turn it pays for it, but virtual time does not advance for the others.
local function take_turn(line, in_turn)
  local pool = pool_of(line)
  local turns = pooled(TURNS, pool)
  local at = tonumber(redis.call('ZSCORE', turns, line) or first_turn(line))
  if in_turn and at > virtual_now(pool) then
    redis.call('SET', pooled(TURN, pool), at)
    redis.call('ZREMRANGEBYSCORE', pooled(TURNED, pool), '-inf', at)
  end
  redis.call('ZADD', turns, at + turn_length(line), line)
end

-- Whether a name comes before another as bytes, which is how Redis orders members.
local function precedes(one, other)
  for i = 1, math.min(#one, #other) do
    local a, b = string.byte(one, i), string.byte(other, i)
    if a ~= b then return a < b end
  end
  return #one < #other
end

-- How many members of a sorted set stand before this one, which need not be there: it is looked for by
-- halving, as those of one score stand in the order of their bytes.
local function rank_of(index, score, member)
  local low = redis.call('ZCOUNT', index, '-inf', '(' .. score)
  local high = redis.call('ZCOUNT', index, '-inf', score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if precedes(redis.call('ZRANGE', index, middle, middle)[1], member) then
      low = middle + 1
    else
      high = middle
    end
  end
  return low
end

-- How many queued jobs will be taken before the one that has `before` others ahead of it in its
-- line, whose next turn is at `next_turn`. The slot need not exist.
local function ahead_of(line, before, next_turn)
  local at = next_turn + before * turn_length(line)
  local slot = slot_of(line, at)
  local slots = pooled(SLOTS, pool_of(line))
  local rank = redis.call('ZRANK', slots, slot)
  if rank then return rank end
  return rank_of(slots, string.format('%.0f', at), slot)
end

-- How many jobs would be taken before a line's new one, for each score in `last_scores` below
-- which its other jobs come first.
local function places(line, last_scores)
  local turns = pooled(TURNS, pool_of(line))
  local next_turn = tonumber(redis.call('ZSCORE', turns, line) or first_turn(line))
  local known, answer = {}, {}
  for i, last_score in ipairs(last_scores) do
    local before = redis.call('ZCOUNT', LINE .. line, '-inf', '(' .. last_score)
    known[before] = known[before] or ahead_of(line, before, next_turn)
    answer[i] = known[before]
  end
  return answer
end

-- How many queued jobs will be taken before this one if none comes or goes; nil when not queued.
local function position(job_id, tenant)
  local line = line_of(job_id, tenant)
  local before = redis.call('ZRANK', LINE .. line, job_id)
  if not before then return nil end
  return ahead_of(line, before, tonumber(redis.call('ZSCORE', pooled(TURNS, pool_of(line)), line)))
end

-- How many jobs the workers of a model hold, as far as a look at the oldest leases tells; '' = all.
local function running_of(model)
  local MOST = 256
  local count = redis.call('ZCARD', LEASES)
  if model == '' then return count end
  local held = redis.call('ZRANGE', LEASES, 0, MOST - 1)
  local own = 0
  for _, job_id in ipairs(held) do
    if redis.call('HGET', JOB .. job_id, 'model') == model then own = own + 1 end
  end
  return math.floor(own * count / math.max(1, #held) + 0.5)
end

-- The model that a row was meant for. An older gateway, whose rows do not say what was asked, writes
-- the model of any worker: its jobs are for that which was there before others came.
local function meant_model(job)
  local named = job.model or ''
  if job.asked and named ~= '' then return named end
  return redis.call('GET', FIRST_MODEL) or named
end

-- The broker's queue in which a row's doorbell is heard by those who may take it.
local function bell_of(job)
  if (job.pool or '') ~= '' then return MODEL_QUEUE .. job.pool end
  return job.queue
end
