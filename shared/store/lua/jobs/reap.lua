-- Jobs of silent workers go back into the queue or, after too many deaths, fail as poison;
-- jobs past their time expire. ARGV: lease ms, poison error json, longest gap ms
-- Answers id and queue of each job that needs its doorbell rung.
local now = now_ms()
local last = tonumber(redis.call('GET', REAPED_AT) or now)
redis.call('SET', REAPED_AT, now)
if now - last > tonumber(ARGV[3]) then
  -- nobody could beat while Redis (or every reaper) was away: one fresh lease for all
  for _, id in ipairs(redis.call('ZRANGE', LEASES, 0, -1)) do
    redis.call('ZADD', LEASES, now + tonumber(ARGV[1]), id)
  end
  return {}
end
local ring = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', now, 'LIMIT', 0, 100)) do
  local row = JOB .. id
  local f = redis.call('HMGET', row, 'status', 'attempt', 'max_attempts', 'tenant', 'parent',
    'tile')
  if f[1] ~= 'running' then
    redis.call('ZREM', LEASES, id)
  else
    redis.call('HINCRBY', row, 'lost', 1)
    count('jobs.lost_lease')
    if tonumber(f[2]) >= tonumber(f[3]) then
      count('jobs.poison')
      if f[5] then
        local outcome = cjson.encode({text = '', gap = true, error = cjson.decode(ARGV[2])})
        for _, bell in ipairs(end_tile(id, f[5], f[6], outcome, now)) do ring[#ring + 1] = bell end
      else
        redis.call('HSET', row, 'error', ARGV[2])
        terminate(id, f[4], 'failed', now)
      end
    else
      local queue = requeue(id, 'worker_lost', now)
      if queue then ring[#ring + 1] = {id, queue} end
    end
  end
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', EXPIRY, '-inf', now, 'LIMIT', 0, 100)) do
  local f = redis.call('HMGET', JOB .. id, 'status', 'tenant', 'phase')
  if f[1] == 'queued' or (f[1] == 'running' and f[3] == 'tiles') then
    terminate(id, f[2], 'expired', now)
  elseif f[1] == 'running' then
    -- its worker watches the deadline; look again in case the worker dies
    redis.call('ZADD', EXPIRY, now + tonumber(ARGV[1]), id)
  else
    redis.call('ZREM', EXPIRY, id)
  end
end
for _, child in ipairs(redis.call('SMEMBERS', TILES_LIVE)) do
  if redis.call('EXISTS', JOB .. child) == 0 then redis.call('SREM', TILES_LIVE, child) end
end
-- room that a canceled long job has left
for _, bell in ipairs(schedule_tiles(now)) do ring[#ring + 1] = bell end
return ring
