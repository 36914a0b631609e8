-- Store a new job: row, index, place in the queue, idempotency record, first event and doorbell.
-- KEYS: idempotency record, then the images that the job needs
-- ARGV: the names below, then names and values of further row fields.
--       fingerprint '' = no idempotency key; waiter names the request that waits for the job,
--       which a stopped job does not stand for, '' = none;
--       first_score is the score of the queue's first job;
--       deadline_ms '' = ttl_ms; session_id '' = none; tokens are the job's visual tokens;
--       limits of the tenant, 0 = none: visual tokens a minute, unfinished jobs, queued jobs;
--       doorbell_list '' = no doorbell; doorbell_list_ms '' = the list lives for ever
-- Returns added or replayed, id, position (-1 when not queued) and row; or why not: image_missing
-- and its index, session_busy and the job, limited with the limit (and ms to wait),
-- spent with the budget, too_many_models with their number, or reused.
local job_id, tenant, fingerprint, idempotency_ttl_ms, waiter, queue, first_score, ttl_ms,
  deadline_ms, events_max, session_id, session_ttl_ms, tokens, tokens_limit, in_flight_limit, queued_limit,
  doorbell_list, doorbell_message, doorbell_channel, doorbell_event, doorbell_list_ms =
  unpack(ARGV, 1, 21)
local FIRST_FIELD = 22
local idempotency_key = KEYS[1]
local FIRST_IMAGE = 2

local function answer(verdict, id)
  if waiter ~= '' then join_job(id, waiter) end
  return {verdict, id, position(id, tenant) or -1, redis.call('HGETALL', JOB .. id)}
end

-- Tell whether a job is stopped, so that a new one may take its key. One that its worker has yet to
-- stop is ended here: two jobs of one key never both answer.
local function give_way(known, now)
  local job = fields(JOB .. known, 'status', 'cancel')
  if job.status == 'running' and job.cancel == '1' then
    terminate(known, tenant, 'canceled', now)
    return true
  end
  return job.status == 'canceled' or job.status == 'expired'
end

-- Tell whether a new row is for another model than that of a job. Who named none meant the one that
-- was served, so that a request stays the same when a second model comes or goes.
local function means_another_model(known)
  local own, job = {}, fields(JOB .. known, 'asked', 'model')
  for name, value in argument_groups(FIRST_FIELD, 2) do own[name] = value end
  local asked, asked_before = own.asked or '', job.asked or ''
  if asked == asked_before then return false end
  local model = asked ~= '' and asked or own.model or ''
  local before = asked_before ~= '' and asked_before or job.model or ''
  return model ~= '' and before ~= '' and model ~= before
end

local now, key = now_ms(), JOB .. job_id
-- the same call again: its first answer was lost on the way
if redis.call('EXISTS', key) == 1 then return answer('added', job_id) end
if fingerprint ~= '' then
  local known = fields(idempotency_key, 'fingerprint', 'job')
  -- a job that has expired or was erased no longer stands for its key
  if known.fingerprint and redis.call('EXISTS', JOB .. known.job) == 1 then
    if known.fingerprint ~= fingerprint or means_another_model(known.job) then
      return {'reused', known.job}
    end
    if waiter == '' or not give_way(known.job, now) then return answer('replayed', known.job) end
  end
end
for i = FIRST_IMAGE, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 0 then return {'image_missing', i - FIRST_IMAGE} end
end

local session = session_id ~= '' and SESSION .. tenant .. ':' .. session_id
if session then
  local busy = redis.call('HGET', session, 'busy')
  -- an answer that is not there yet cannot be part of the next question
  if busy and redis.call('EXISTS', JOB .. busy) == 1 then return {'session_busy', busy} end
end

tokens, tokens_limit = tonumber(tokens), tonumber(tokens_limit)
in_flight_limit, queued_limit = tonumber(in_flight_limit), tonumber(queued_limit)
local usage = window(tenant, 'tokens', now)
if tokens_limit > 0 and exceeds(usage, tokens, tokens_limit) then
  return {'limited', 'tokens', wait_ms_for(usage, tokens, tokens_limit)}
end
-- Return the limit that leaves no room for one more job, or nil.
local function full_limit()
  if in_flight_limit > 0 and redis.call('SCARD', UNFINISHED .. tenant) >= in_flight_limit then
    return 'in_flight'
  end
  if queued_limit > 0 and waiting_of(tenant) >= queued_limit then
    return 'queued'
  end
end
local full = full_limit()
if full then
  -- some of them may be gone without having ended
  forget_vanished(tenant, now)
  full = full_limit()
end
if full then return {'limited', full} end
-- names that nobody serves must not make every look at the pools a long one
local MOST_POOLS = 64
for name, value in argument_groups(FIRST_FIELD, 2) do
  local is_new = name == 'pool' and redis.call('SISMEMBER', POOLS, value) == 0
  if is_new and redis.call('SCARD', POOLS) >= MOST_POOLS then return {'too_many_models', MOST_POOLS} end
end
local spent = spent_budget(tenant, now)
if spent then return {'spent', spent} end

local expire_ms = now + (tonumber(deadline_ms) or tonumber(ttl_ms))
ttl_ms = kept_ms(tenant, ttl_ms)
local number = redis.call('INCR', SEQUENCE)
local score = string.format('%.0f', first_score + number)
redis.call('HSET', key, 'id', job_id, 'tenant', tenant, 'created_ms', now, 'ttl_ms', ttl_ms,
  'expires_ms', now + ttl_ms, 'expire_ms', expire_ms, 'queue', queue, 'score', score,
  'number', number, 'attempt', 0, 'lost', 0, 'events', 0)
redis.call('HSET', key, 'session_id', session_id, unpack(ARGV, FIRST_FIELD))
local start = start_of(
  fields(key, 'not_before_ms', 'window_start_ms', 'window_ms', 'window_changes'), now)
if start > now then
  redis.call('HSET', key, 'queued_ms', now)
  defer(job_id, tenant, number, start)
  -- no worker is woken for it
  doorbell_list = ''
else
  enqueue(job_id, line_of(job_id, tenant), score, now)
end
begin_job(job_id, tenant, now)
if tokens > 0 then charge(usage, tokens) end
redis.call('ZADD', EXPIRY, expire_ms, job_id)
-- its row lives at most until it expires, and as long again as it is kept
local kept_until = life_end(now, expire_ms, ttl_ms)
if redis.call('EXISTS', TENANT_JOBS .. tenant) == 0 then mark_complete(tenant, count_unfiled()) end
file_job(TENANT_JOBS .. tenant, job_id, number, kept_until, number)
for i = FIRST_IMAGE, #KEYS do use_image(KEYS[i], job_id, kept_until, now) end
local group = redis.call('HGET', key, 'group')
if group and group ~= '' then
  join_group(job_id, tenant, group, number, score, kept_until, now)
end
if session then
  file_job(TENANT_JOBS .. tenant .. JOBS_OF_SESSION .. session_id, job_id, number, kept_until, number)
  redis.call('HSETNX', session, 'created_ms', now)
  redis.call('HSETNX', session, 'generation', number)
  redis.call('HSET', key, 'session_generation', redis.call('HGET', session, 'generation'))
  -- a worker of an older version would read turns without one half as if they were whole
  local version = redis.call('HGET', session, 'version')
  if version and tonumber(version) > tonumber(redis.call('HGET', key, 'version')) then
    redis.call('HSET', key, 'version', version)
  end
  redis.call('HSET', session, 'busy', job_id, 'ttl_ms', kept_ms(tenant, session_ttl_ms))
  for i = FIRST_IMAGE, #KEYS do remember_image(session, KEYS[i], now) end
  touch_session(tenant, session_id, now)
end
if fingerprint ~= '' then
  redis.call('HSET', key, 'idempotency', idempotency_key)
  redis.call('HSET', idempotency_key, 'fingerprint', fingerprint, 'job', job_id)
  redis.call('PEXPIRE', idempotency_key, idempotency_ttl_ms)
end
emit(job_id, 'job.queued', cjson.encode({position = position(job_id, tenant)}), events_max)
count_filed('jobs.submitted')
if doorbell_list ~= '' then
  redis.call('LPUSH', doorbell_list, doorbell_message)
  if doorbell_list_ms ~= '' then redis.call('PEXPIRE', doorbell_list, doorbell_list_ms) end
  redis.call('PUBLISH', doorbell_channel, doorbell_event)
end
return answer('added', job_id)
