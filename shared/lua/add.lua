-- A new job: row, index, place in the queue, idempotency record and first event.
-- KEYS: idempotency record, then the images that the job needs
-- ARGV: id, tenant, fingerprint ('' = none), idempotency ttl ms, queue, base priority,
--       priority steps, ttl ms, deadline ms ('' = ttl), event limit, session ('' = none),
--       session ttl ms, then row fields
local id, tenant, fingerprint = ARGV[1], ARGV[2], ARGV[3]
local now = now_ms()
-- the same call again: its first answer was lost on the way
local known = redis.call('HGET', JOB .. id, 'priority')
if known then return {'added', id, known, 0} end
if fingerprint ~= '' then
  local seen = redis.call('HMGET', KEYS[1], 'fingerprint', 'job')
  -- a job that has expired or was erased no longer stands for its key
  if seen[1] and redis.call('EXISTS', JOB .. seen[2]) == 1 then
    if seen[1] == fingerprint then return {'replayed', seen[2]} end
    return {'reused', seen[2]}
  end
end
for i = 2, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 0 then return {'image_missing', i - 2} end
end

local session = ARGV[11] ~= '' and SESSION .. tenant .. ':' .. ARGV[11]
if session then
  local busy = redis.call('HGET', session, 'busy')
  -- an answer that is not there yet cannot be part of the next question
  if busy and redis.call('EXISTS', JOB .. busy) == 1 then return {'session_busy', busy} end
end

local ttl = tonumber(ARGV[8])
local expire = now + (tonumber(ARGV[9]) or ttl)
local waiting = tonumber(redis.call('HGET', WAITING, tenant) or 0)
local priority = tonumber(ARGV[6]) + math.min(waiting, tonumber(ARGV[7]) - 1)
local number = redis.call('INCR', SEQUENCE)
local score = priority * PRIORITY_SPAN + number
local row = JOB .. id
redis.call('HSET', row, 'id', id, 'tenant', tenant, 'created_ms', now, 'ttl_ms', ttl,
  'expires_ms', now + ttl, 'expire_ms', expire, 'queue', ARGV[5], 'priority', priority,
  'score', string.format('%.0f', score), 'attempt', 0, 'lost', 0, 'events', 0)
redis.call('HSET', row, 'session_id', ARGV[11], unpack(ARGV, 13))
enqueue(id, tenant, string.format('%.0f', score), now)
redis.call('HINCRBY', UNFINISHED, tenant, 1)
redis.call('ZADD', EXPIRY, expire, id)
redis.call('ZADD', TENANT_JOBS .. tenant, number, id)
extend(TENANT_JOBS .. tenant, now + 2 * ttl)
for i = 2, #KEYS do
  redis.call('SADD', KEYS[i] .. IMAGE_JOBS, id)
  -- an image must outlive the job that may still be retried from it
  extend(KEYS[i], now + 2 * ttl)
  extend(KEYS[i] .. IMAGE_JOBS, now + 2 * ttl)
end
if session then
  redis.call('HSETNX', session, 'created_ms', now)
  redis.call('HSET', session, 'busy', id, 'ttl_ms', ARGV[12])
  if #KEYS > 1 then redis.call('SADD', session .. SESSION_IMAGES, unpack(KEYS, 2)) end
  touch_session(tenant, ARGV[11], now)
end
if fingerprint ~= '' then
  redis.call('HSET', row, 'idempotency', KEYS[1])
  redis.call('HSET', KEYS[1], 'fingerprint', fingerprint, 'job', id)
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
local position = redis.call('ZRANK', QUEUED, id)
emit(id, 'job.queued', cjson.encode({position = position}), ARGV[10])
count('jobs.submitted')
return {'added', id, priority, position}
