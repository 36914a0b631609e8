-- Give a queued job to a worker: one more attempt, a new owner, a lease.
-- ARGV: the names below; wanted_id '' = the job whose turn it is; known_version is the highest row
--       version that the worker can read; ability is what it has that not every worker has, or '';
--       model and revision are what it serves, '' = whatever is asked for of all workers
-- Returns claimed, now, the row and what an earlier attempt has written, which is deleted; when it is
-- sent again '' instead of that. Or nothing, missing, not_queued, too_new, needs_reader, other_model,
-- deferred or expired.
local wanted_id, owner, worker, lease_ms, known_version, ability, model, revision = unpack(ARGV)
local served = model .. '@' .. revision
-- workers of one kind, which pass over the same jobs
local kind = known_version .. ability .. (model ~= '' and '\n' .. served or '')
-- what one call looks at: jobs that may not start, in all and in one line, and lines
local MAX_CHECKS, MAX_IN_LINE = 1000, 100
local MAX_LINES, LINES_AT_ONCE = 10000, 50
local PASSED_MS = 60000
local now = now_ms()

-- Return the job that this call got before, when its answer was lost on the way, or nil.
local function claimed_before()
  local job_id = redis.call('GET', CLAIMED .. owner)
  local job = job_id and fields(JOB .. job_id, 'status', 'owner')
  return job and job.status == 'running' and job.owner == owner and job_id
end

-- Whether a job is for the workers of another model. One that named none is finished by whoever
-- comes, but not while those are up that it was meant for, or may be starting again.
local function is_of_others(job)
  local asked = job.asked or ''
  if model == '' or asked == model or asked == served then return false end
  if asked ~= '' then return true end
  local meant = meant_model(job)
  if meant == '' or meant == model then return false end
  return redis.call('EXISTS', AWAITED .. meant) == 1
end

-- Return why a job may not start, or nil; one that will never start again leaves the queue.
local function refusal(job_id, line)
  local job = fields(JOB .. job_id, 'status', 'tenant', 'expire_ms', 'version', 'parent', 'needs',
    'not_before_ms', 'window_start_ms', 'window_ms', 'window_changes', 'phase', 'number',
    'attempt', 'pool', 'asked', 'model')
  if not job.status then
    if line then dequeue(job_id, line) end
    return 'missing'
  end
  if job.parent and redis.call('EXISTS', JOB .. job.parent) == 0 then
    drop_tile(job_id, job.tenant)
    return 'missing'
  end
  if job.status ~= 'queued' then
    -- an older version has ended it, and does not know where it stands
    if line then dequeue(job_id, line) end
    return 'not_queued'
  end
  if tonumber(job.version) > tonumber(known_version) then return 'too_new' end
  if now < tonumber(job.expire_ms) then
    if (job.needs or '') ~= '' and job.needs ~= ability then return 'needs_reader' end
    if is_of_others(job) then return 'other_model' end
    local start = start_of(job, now)
    -- one that has started before goes on at any time
    if start <= now or job.phase or job.attempt ~= '0' then return nil end
    -- its time has not come yet, or its hours are over
    dequeue(job_id, line_name(job.tenant, job.pool))
    defer(job_id, job.tenant, job.number, start)
    return 'deferred'
  end
  -- a tile expires with its parent, which the reaper ends
  if not job.parent then terminate(job_id, job.tenant, 'expired', now) end
  return 'expired'
end

-- Remember that nothing in a line up to this score may start here, so that the next look begins
-- there. An older version's jobs do not make us look again, so that it is forgotten after a while.
local function pass_over(line, score)
  local passed = PASSED_BY .. kind
  redis.call('HSET', passed, line, score)
  if redis.call('PTTL', passed) < 0 then redis.call('PEXPIRE', passed, PASSED_MS) end
  redis.call('SADD', PASSED, kind)
  redis.call('PEXPIRE', PASSED, 2 * PASSED_MS)
end

-- Return the first job of a line that may start, or nil, and how many were looked at.
local function first_in_line(line, passed, most)
  local after = passed and '(' .. passed or '-inf'
  for checked = 0, most - 1 do
    local entry = redis.call('ZRANGEBYSCORE', LINE .. line, after, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    local job_id, score = entry[1], entry[2]
    if not job_id then
      if after ~= '-inf' then pass_over(line, '+inf') end
      return nil, checked
    end
    if not refusal(job_id, line) then return job_id, checked end
    -- what stays in the line is for a newer worker, or one that has more
    if redis.call('ZSCORE', LINE .. line, job_id) then
      after = '(' .. score
      pass_over(line, score)
    end
  end
  return nil, most
end

-- Look once at every line of a pool, in the order of their turns; return a job, or nil and what is left
-- of the jobs that may be looked at.
local function look_at_lines(pool, left)
  local first, turns = 0, pooled(TURNS, pool)
  while left > 0 and first < MAX_LINES do
    local lines = redis.call('ZRANGE', turns, first, first + LINES_AT_ONCE - 1)
    if #lines == 0 then break end
    local waiting = redis.call('ZCARD', turns)
    local passed = redis.call('HMGET', PASSED_BY .. kind, unpack(lines))
    for i, line in ipairs(lines) do
      if left > 0 and passed[i] ~= '+inf' then
        local job_id, checked = first_in_line(line, passed[i], math.min(left, MAX_IN_LINE))
        if job_id then return job_id end
        left = left - checked
      end
    end
    -- lines that turned out to be empty have left
    first = first + #lines - (waiting - redis.call('ZCARD', turns))
  end
  return nil, left
end

-- A long line of jobs that may not start costs the others no turn: it is looked at a part at a time.
local function next_job_of(pool)
  local left, before = MAX_CHECKS, nil
  repeat
    before = left
    local job_id
    job_id, left = look_at_lines(pool, left)
    if job_id then return job_id end
  until left <= 0 or left == before
  return nil
end

-- Where jobs wait in several pools that are for this worker, chance decides which is looked at first.
local function next_job()
  if model == '' then return next_job_of('') end
  local pools = {'', model, served}
  local first = tonumber(string.sub(owner, -4), 16) or 0
  for number = 0, #pools - 1 do
    local job_id = next_job_of(pools[(first + number) % #pools + 1])
    if job_id then return job_id end
  end
  return nil
end

local job_id = claimed_before()
if job_id then return {'claimed', now, redis.call('HGETALL', JOB .. job_id), ''} end
job_id = wanted_id
if wanted_id == '' then
  job_id = next_job()
  if not job_id then return {'nothing'} end
else
  local reason = refusal(wanted_id)
  if reason then return {reason} end
end
local key = JOB .. job_id
local job = fields(key, 'tenant', 'streamed', 'parent', 'phase', 'tile_stream', 'pool',
  'model')
local line = line_name(job.tenant, job.pool, job.parent)
take_turn(line, wanted_id == '')
dequeue(job_id, line)
-- an older version that took it from a worker has put it where all look
if pool_of(line) ~= '' then dequeue(job_id, line_name(job.tenant, '', job.parent)) end
local attempt = redis.call('HINCRBY', key, 'attempt', 1)
forget_claim(job_id)
redis.call('HSET', key, 'status', 'running', 'owner', owner, 'claimed_by', owner, 'worker', worker,
  'streamed', '', 'thought', '', 'model', model ~= '' and model or job.model or '')
redis.call('SET', CLAIMED .. owner, job_id, 'PX', lease_ms)
redis.call('ZADD', LEASES, now + tonumber(lease_ms), job_id)
-- the text of read tiles stays; any other is written anew
local written = ''
if job.tile_stream ~= '1' then
  written = redis.call('GET', key .. JOB_TEXT) or ''
  redis.call('DEL', key .. JOB_TEXT)
end
if job.streamed == '1' then emit(job_id, 'output.reset', cjson.encode({reason = 'retry'})) end
-- a long job has started long before its merge
if not job.phase then redis.call('HSET', key, 'started_ms', now) end
-- to its caller a tile is no job
if not job.parent and not job.phase then
  emit(job_id, 'job.started', cjson.encode({attempt = attempt, worker = worker}))
  notify(job_id, 'started', 'job.started', now)
end
return {'claimed', now, redis.call('HGETALL', key), written}
