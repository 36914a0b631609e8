-- A worker takes a queued job: one more attempt, a new owner, a lease.
-- ARGV: id, owner token, worker id, lease ms, highest row version that the worker knows
local id, row = ARGV[1], JOB .. ARGV[1]
local f = redis.call('HMGET', row, 'status', 'attempt', 'max_attempts', 'tenant', 'expire_ms',
  'version', 'streamed', 'parent', 'phase')
if not f[1] then return {'missing'} end
if f[1] ~= 'queued' then return {'not_queued', f[1]} end
if tonumber(f[6]) > tonumber(ARGV[5]) then return {'too_new', f[6]} end
local now = now_ms()
-- the end of a tile's time is the end of its parent's, which the reaper brings about
if now >= tonumber(f[5]) and f[8] then return {'expired'} end
if now >= tonumber(f[5]) then
  terminate(id, f[4], 'expired', now)
  return {'expired'}
end
local attempt = redis.call('HINCRBY', row, 'attempt', 1)
dequeue(id, not f[8] and f[4])
redis.call('HSET', row, 'status', 'running', 'owner', ARGV[2], 'worker', ARGV[3], 'streamed', '')
redis.call('ZADD', LEASES, now + tonumber(ARGV[4]), id)
-- a long job has started long before its merge
if not f[9] then redis.call('HSET', row, 'started_ms', now) end
if f[8] then return {'claimed', now, redis.call('HGETALL', row)} end
if f[7] == '1' then emit(id, 'output.reset', cjson.encode({reason = 'retry'})) end
if not f[9] then
  emit(id, 'job.started', cjson.encode({attempt = attempt, worker = ARGV[3]}))
  notify(id, 'started', 'job.started', now)
end
return {'claimed', now, redis.call('HGETALL', row)}
