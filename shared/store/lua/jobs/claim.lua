-- A worker takes a queued job: one more attempt, a new owner, a lease.
-- A doorbell says that there is work and not which: the tenant whose turn it is gets it done.
-- ARGV: id ('' = whose turn it is), owner token, worker id, lease ms,
--       highest row version that the worker knows
local now = now_ms()
local LOOKS = 100

-- Tell whether a job may start; one that will never start again leaves the queue.
local function why_not(id, tenant)
  local f = redis.call('HMGET', JOB .. id, 'status', 'tenant', 'expire_ms', 'version', 'parent')
  if not f[1] then
    if tenant then dequeue(id, tenant) end
    return 'missing'
  end
  if f[1] ~= 'queued' then return 'not_queued' end
  if tonumber(f[4]) > tonumber(ARGV[5]) then return 'too_new' end
  -- the end of a tile's time is the end of its parent's, which the reaper brings about
  if now >= tonumber(f[3]) and f[5] then return 'expired' end
  if now >= tonumber(f[3]) then
    terminate(id, f[2], 'expired', now)
    return 'expired'
  end
  return nil
end

local function whose_turn_it_is()
  local looks = 0
  for _, tenant in ipairs(redis.call('ZRANGE', TURNS, 0, LOOKS - 1)) do
    local skipped = 0
    while looks < LOOKS do
      looks = looks + 1
      local id = redis.call('ZRANGE', LINE .. tenant, skipped, skipped)[1]
      if not id then break end
      local why = why_not(id, tenant)
      if not why then return id end
      -- what stays in the line is for a newer worker
      if redis.call('ZSCORE', LINE .. tenant, id) then skipped = skipped + 1 end
    end
  end
  return nil
end

local id = ARGV[1]
if id == '' then
  id = whose_turn_it_is()
  if not id then return {'nothing'} end
else
  local why = why_not(id)
  if why then return {why} end
end
local row = JOB .. id
local f = redis.call('HMGET', row, 'tenant', 'streamed', 'parent', 'phase')
local line = f[3] and tiles_line(f[1]) or f[1]
take_turn(line, ARGV[1] == '')
dequeue(id, line)
local attempt = redis.call('HINCRBY', row, 'attempt', 1)
redis.call('HSET', row, 'status', 'running', 'owner', ARGV[2], 'worker', ARGV[3], 'streamed', '')
redis.call('ZADD', LEASES, now + tonumber(ARGV[4]), id)
if f[2] == '1' then emit(id, 'output.reset', cjson.encode({reason = 'retry'})) end
-- a long job has started long before its merge, and its tiles are nobody's jobs
if not f[4] then redis.call('HSET', row, 'started_ms', now) end
if not f[3] and not f[4] then
  emit(id, 'job.started', cjson.encode({attempt = attempt, worker = ARGV[3]}))
  notify(id, 'started', 'job.started', now)
end
return {'claimed', now, redis.call('HGETALL', row)}
