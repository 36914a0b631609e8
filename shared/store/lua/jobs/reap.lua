-- Requeue the jobs of silent workers or, after too many deaths, fail them as poison; expire jobs
-- past their time.
-- ARGV: the names below; max_gap_ms is the longest silence of all reapers after which leases count
--       as renewed; heartbeat_ms is how long a worker counts as up after its last beat
-- Returns id and queue of each job that needs a doorbell.
local lease_ms, poison_json, max_gap_ms, heartbeat_ms = unpack(ARGV)
local MOST = 100

local now = now_ms()
local renewed_ms = now + tonumber(lease_ms)
local last = tonumber(redis.call('GET', REAPED_AT) or now)
redis.call('SET', REAPED_AT, now)
if now - last > tonumber(max_gap_ms) then
  -- nobody could beat while Redis (or every reaper) was away: one fresh lease for all
  for _, job_id in ipairs(redis.call('ZRANGE', LEASES, 0, -1)) do
    redis.call('ZADD', LEASES, renewed_ms, job_id)
  end
  return {}
end

-- Redis' clock was set back, or this is a replica whose clock is behind: nothing that is said to end
-- later than it could have begun now may hold a job up
local late = '(' .. string.format('%.0f', renewed_ms)
for _, job_id in ipairs(redis.call('ZRANGEBYSCORE', LEASES, late, '+inf', 'LIMIT', 0, MOST)) do
  redis.call('ZADD', LEASES, renewed_ms, job_id)
end
local ahead = '(' .. string.format('%.0f', now)
-- pools are looked at bit by bit, but for that which is for all workers
local pools = next_members('SSCAN', POOLS, 20)
pools[#pools + 1] = ''
for _, pool in ipairs(pools) do
  local since = pooled(QUEUED_SINCE, pool)
  for _, job_id in ipairs(redis.call('ZRANGEBYSCORE', since, ahead, '+inf', 'LIMIT', 0, MOST)) do
    redis.call('ZADD', since, now, job_id)
  end
end
for _, worker in ipairs(redis.call('ZRANGE', WORKERS, 0, MOST - 1)) do
  if redis.call('PTTL', WORKER .. worker) > tonumber(heartbeat_ms) then
    redis.call('PEXPIRE', WORKER .. worker, heartbeat_ms)
  end
end

local doorbells = {}
local function append(more)
  for _, doorbell in ipairs(more) do doorbells[#doorbells + 1] = doorbell end
end

local function fail_as_poison(job_id, job)
  count('jobs.poison')
  if job.parent then
    local outcome = cjson.encode({text = '', gap = true, error = cjson.decode(poison_json)})
    append(end_tile(job_id, job.parent, job.tile, outcome, job.pool or '', now))
  else
    redis.call('HSET', JOB .. job_id, 'error', poison_json)
    terminate(job_id, job.tenant, 'failed', now)
  end
end

-- A Redis that came back may not know that a job's worker has ended it, and not died: that start does
-- not count, once after each restart.
local process = redis_process()
local function may_have_ended(job)
  return process and job.events_process and job.events_process ~= process
    and job.forgiven_by ~= process
end

for _, job_id in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', now, 'LIMIT', 0, MOST)) do
  local key = JOB .. job_id
  local job = fields(key, 'status', 'attempt', 'max_attempts', 'tenant', 'parent', 'tile',
    'pool', 'events_process', 'forgiven_by')
  if job.status ~= 'running' then
    redis.call('ZREM', LEASES, job_id)
  elseif may_have_ended(job) then
    redis.call('HINCRBY', key, 'attempt', -1)
    redis.call('HSET', key, 'forgiven_by', process)
    local queue = requeue(job_id, 'worker_lost', now)
    if queue then append({{job_id, queue}}) end
  else
    redis.call('HINCRBY', key, 'lost', 1)
    count('jobs.lost_lease')
    if tonumber(job.attempt) >= tonumber(job.max_attempts) then
      fail_as_poison(job_id, job)
    else
      local queue = requeue(job_id, 'worker_lost', now)
      if queue then append({{job_id, queue}}) end
    end
  end
end
for _, job_id in ipairs(redis.call('ZRANGEBYSCORE', EXPIRY, '-inf', now, 'LIMIT', 0, MOST)) do
  local job = fields(JOB .. job_id, 'status', 'tenant', 'phase')
  if job.status == 'queued' or (job.status == 'running' and job.phase == 'tiles') then
    terminate(job_id, job.tenant, 'expired', now)
  elseif job.status == 'running' then
    -- its worker watches the deadline; look again in case the worker dies
    redis.call('ZADD', EXPIRY, renewed_ms, job_id)
  else
    redis.call('ZREM', EXPIRY, job_id)
  end
end
-- jobs whose time has come
for _, job_id in ipairs(redis.call('ZRANGEBYSCORE', DEFERRED, '-inf', now, 'LIMIT', 0, 5 * MOST)) do
  local job = fields(JOB .. job_id, 'status', 'tenant', 'score', 'queue', 'pool')
  if job.status == 'queued' then
    end_deferral(job_id, job.tenant)
    enqueue(job_id, line_of(job_id, job.tenant), job.score, now)
    emit(job_id, 'job.queued',
      cjson.encode({reason = 'due', position = position(job_id, job.tenant)}))
    append({{job_id, bell_of(job)}})
  elseif job.tenant then
    end_deferral(job_id, job.tenant)
  else
    redis.call('ZREM', DEFERRED, job_id)
  end
end
-- rows that somebody else has deleted
for _, tenant in ipairs(redis.call('ZRANGE', UNFINISHED_TENANTS, 0, 0)) do
  forget_vanished(tenant, now)
end
for _, name in ipairs(redis.call('ZRANGE', GROUPS_OPEN, 0, 0)) do look_at_group(name, now) end
-- lines that an older version has changed, emptied or begun
local function align_some(entries)
  for i = 1, #entries, 2 do align_slots(entries[i]) end
end
for _, pool in ipairs(pools) do
  align_some(next_members('HSCAN', pooled(SLOTS_OF, pool), 20))
  align_some(next_members('ZSCAN', pooled(TURNS, pool), 20))
  local live = pooled(TILES_LIVE, pool)
  for _, child in ipairs(redis.call('SMEMBERS', live)) do
    if redis.call('EXISTS', JOB .. child) == 0 then redis.call('SREM', live, child) end
  end
  -- room that a canceled long job has left
  append(schedule_tiles(pool, now))
  -- that which is for all workers stays
  if pool ~= '' and redis.call('EXISTS', pooled(TURNS, pool), pooled(LONG, pool), live) == 0 then
    redis.call('SREM', POOLS, pool)
    redis.call('DEL', pooled(TURN, pool), pooled(TILES_ROOM, pool))
  end
end
return doorbells
