-- Give a queued job to a worker: one more attempt, a new owner, a lease.
-- ARGV: the names below; wanted_id '' = the job whose turn it is; known_version is the highest row
--       version that the worker can read
-- Returns claimed, now and the row; or nothing, missing, not_queued, too_new or expired.
local wanted_id, owner, worker, lease_ms, known_version = unpack(ARGV)
local MAX_CHECKS = 100
local now = now_ms()

-- Return why a job may not start, or nil; one that will never start again leaves the queue.
local function refusal(job_id, line)
  local job = fields(JOB .. job_id, 'status', 'tenant', 'expire_ms', 'version', 'parent')
  if not job.status then
    if line then dequeue(job_id, line) end
    return 'missing'
  end
  if job.status ~= 'queued' then return 'not_queued' end
  if tonumber(job.version) > tonumber(known_version) then return 'too_new' end
  if now < tonumber(job.expire_ms) then return nil end
  -- a tile expires with its parent, which the reaper ends
  if not job.parent then terminate(job_id, job.tenant, 'expired', now) end
  return 'expired'
end

local function next_job()
  local checks = 0
  for _, line in ipairs(redis.call('ZRANGE', TURNS, 0, MAX_CHECKS - 1)) do
    local skipped = 0
    while checks < MAX_CHECKS do
      checks = checks + 1
      local job_id = redis.call('ZRANGE', LINE .. line, skipped, skipped)[1]
      if not job_id then break end
      if not refusal(job_id, line) then return job_id end
      -- what stays in the line is for a newer worker
      if redis.call('ZSCORE', LINE .. line, job_id) then skipped = skipped + 1 end
    end
  end
  return nil
end

local job_id = wanted_id
if wanted_id == '' then
  job_id = next_job()
  if not job_id then return {'nothing'} end
else
  local reason = refusal(wanted_id)
  if reason then return {reason} end
end
local key = JOB .. job_id
local job = fields(key, 'tenant', 'streamed', 'parent', 'phase', 'tile_stream')
local line = job.parent and tiles_line(job.tenant) or job.tenant
take_turn(line, wanted_id == '')
dequeue(job_id, line)
local attempt = redis.call('HINCRBY', key, 'attempt', 1)
redis.call('HSET', key, 'status', 'running', 'owner', owner, 'worker', worker, 'streamed', '')
redis.call('ZADD', LEASES, now + tonumber(lease_ms), job_id)
-- the text of read tiles stays; any other is written anew
if job.tile_stream ~= '1' then redis.call('DEL', key .. JOB_TEXT) end
if job.streamed == '1' then emit(job_id, 'output.reset', cjson.encode({reason = 'retry'})) end
-- a long job has started long before its merge
if not job.phase then redis.call('HSET', key, 'started_ms', now) end
-- to its caller a tile is no job
if not job.parent and not job.phase then
  emit(job_id, 'job.started', cjson.encode({attempt = attempt, worker = worker}))
  notify(job_id, 'started', 'job.started', now)
end
return {'claimed', now, redis.call('HGETALL', key)}
