-- A new job: row, index, place in the queue, idempotency record and first event.
-- KEYS: idempotency record, then the images that the job needs
-- ARGV: id, tenant, fingerprint ('' = none), idempotency ttl ms, queue, score of the queue's
--       first job, ttl ms, deadline ms ('' = ttl), event limit, session ('' = none),
--       session ttl ms, visual tokens, limits of the tenant: visual tokens a minute, unfinished
--       and queued jobs (0 = none), the doorbell: list ('' = not rung), message, channel, event,
--       ms that the list lives ('' = for ever), then row fields
-- Answers added or replayed, id, position (-1 when not queued) and row; or why not.
local function shown(how, id, tenant)
  return {how, id, position(id, tenant) or -1, redis.call('HGETALL', JOB .. id)}
end

local id, tenant, fingerprint = ARGV[1], ARGV[2], ARGV[3]
local now = now_ms()
-- the same call again: its first answer was lost on the way
if redis.call('EXISTS', JOB .. id) == 1 then return shown('added', id, tenant) end
if fingerprint ~= '' then
  local seen = redis.call('HMGET', KEYS[1], 'fingerprint', 'job')
  -- a job that has expired or was erased no longer stands for its key
  if seen[1] and redis.call('EXISTS', JOB .. seen[2]) == 1 then
    if seen[1] == fingerprint then return shown('replayed', seen[2], tenant) end
    return {'reused', seen[2]}
  end
end
for i = 2, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 0 then return {'image_missing', i - 2} end
end

local session = ARGV[10] ~= '' and SESSION .. tenant .. ':' .. ARGV[10]
if session then
  local busy = redis.call('HGET', session, 'busy')
  -- an answer that is not there yet cannot be part of the next question
  if busy and redis.call('EXISTS', JOB .. busy) == 1 then return {'session_busy', busy} end
end

local cost, limit = tonumber(ARGV[12]), tonumber(ARGV[13])
local tokens = window(tenant, 'tokens', now)
if limit > 0 and tokens.before * tokens.left / WINDOW_MS + tokens.count + cost > limit then
  return {'limited', 'tokens', wait_for(tokens, cost, limit)}
end
limit = tonumber(ARGV[14])
if limit > 0 and redis.call('SCARD', UNFINISHED .. tenant) >= limit then
  return {'limited', 'in_flight'}
end
limit = tonumber(ARGV[15])
if limit > 0 and redis.call('ZCARD', LINE .. tenant) >= limit then
  return {'limited', 'queued'}
end

local ttl = tonumber(ARGV[7])
local expire = now + (tonumber(ARGV[8]) or ttl)
local number = redis.call('INCR', SEQUENCE)
local score = string.format('%.0f', ARGV[6] + number)
local row = JOB .. id
redis.call('HSET', row, 'id', id, 'tenant', tenant, 'created_ms', now, 'ttl_ms', ttl,
  'expires_ms', now + ttl, 'expire_ms', expire, 'queue', ARGV[5], 'score', score, 'number', number,
  'attempt', 0, 'lost', 0, 'events', 0)
redis.call('HSET', row, 'session_id', ARGV[10], unpack(ARGV, 21))
enqueue(id, tenant, score, now)
redis.call('SADD', UNFINISHED .. tenant, id)
if cost > 0 then charge(tokens, cost) end
redis.call('ZADD', EXPIRY, expire, id)
redis.call('ZADD', TENANT_JOBS .. tenant, number, id)
sweep(TENANT_JOBS .. tenant, JOB, number)
extend(TENANT_JOBS .. tenant, now + 2 * ttl)
for i = 2, #KEYS do
  use_image(KEYS[i], id)
  -- an image must outlive the job that may still be retried from it
  extend(KEYS[i], now + 2 * ttl)
  extend(KEYS[i] .. IMAGE_JOBS, now + 2 * ttl)
end
if session then
  redis.call('HSETNX', session, 'created_ms', now)
  redis.call('HSET', session, 'busy', id, 'ttl_ms', ARGV[11])
  if #KEYS > 1 then redis.call('SADD', session .. SESSION_IMAGES, unpack(KEYS, 2)) end
  touch_session(tenant, ARGV[10], now)
end
if fingerprint ~= '' then
  redis.call('HSET', row, 'idempotency', KEYS[1])
  redis.call('HSET', KEYS[1], 'fingerprint', fingerprint, 'job', id)
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
emit(id, 'job.queued', cjson.encode({position = position(id, tenant)}), ARGV[9])
count('jobs.submitted')
if ARGV[16] ~= '' then
  redis.call('LPUSH', ARGV[16], ARGV[17])
  if ARGV[20] ~= '' then redis.call('PEXPIRE', ARGV[16], ARGV[20]) end
  redis.call('PUBLISH', ARGV[18], ARGV[19])
end
return shown('added', id, tenant)
