-- Steps that end or give back a row; they stand behind those of tiles.

-- The one way into a terminal status: result, event and clean-up in one transaction.
local function terminate(id, tenant, status, now)
  local row = JOB .. id
  local ttl = tonumber(redis.call('HGET', row, 'ttl_ms'))
  redis.call('HSET', row, 'status', status, 'owner', '', 'completed_ms', now,
    'expires_ms', now + ttl)
  dequeue(id, tenant)
  redis.call('ZREM', LEASES, id)
  redis.call('ZREM', EXPIRY, id)
  redis.call('SREM', UNFINISHED .. tenant, id)
  end_tiles(id, status)
  local session = redis.call('HGET', row, 'session_id')
  if session and session ~= '' then leave_session(id, tenant, session) end
  emit(id, 'job.' .. status)
  drop_progress(id, now)
  notify(id, 'completed', 'job.' .. status, now)
  count('jobs.' .. status)
  redis.call('PEXPIREAT', row, now + ttl)
  redis.call('PEXPIREAT', row .. JOB_DELIVERIES, now + ttl)
  redis.call('PEXPIREAT', row .. EVENTS, now + ttl)
  redis.call('PEXPIREAT', row .. JOB_TILES, now + ttl)
  -- whoever still waits can no longer end it by leaving
  redis.call('DEL', row .. JOB_WAITERS)
end

-- A running row loses its worker: back into the queue, or into the end it has earned.
local function requeue(id, why, now)
  local row = JOB .. id
  local f = redis.call('HMGET', row, 'tenant', 'score', 'cancel', 'expire_ms', 'parent', 'phase')
  redis.call('ZREM', LEASES, id)
  if f[5] then
    enqueue(id, tiles_line(f[1]), f[2], now)
    tile_starts_over(id, f[5])
    return redis.call('HGET', row, 'queue')
  end
  if f[3] == '1' then
    terminate(id, f[1], 'canceled', now)
    return nil
  end
  if now >= tonumber(f[4]) then
    terminate(id, f[1], 'expired', now)
    return nil
  end
  enqueue(id, f[1], f[2], now)
  -- a long job stays running in its caller's eyes
  if f[6] then return redis.call('HGET', row, 'queue') end
  redis.call('HSET', row, 'progress', '')
  emit(id, 'job.queued', cjson.encode({reason = why, position = position(id, f[1])}))
  return redis.call('HGET', row, 'queue')
end

-- A tile has its outcome, which its parent keeps; the last one's end queues the merge.
-- Answers id and queue of each row to ring for.
local function end_tile(child, parent, index, outcome, now)
  local row, tiles = JOB .. parent, JOB .. parent .. JOB_TILES
  local f = redis.call('HMGET', row, 'tiles_total', 'strict_error', 'tenant')
  local told = cjson.decode(outcome)
  redis.call('HSET', tiles, 'out:' .. index, outcome)
  local done = redis.call('HINCRBY', row, 'tiles_done', 1)
  redis.call('HINCRBY', row, 'tile_tokens', told.tokens or 0)
  count(told.gap and 'tiles.gaps' or 'tiles.done')
  weigh_tile(child, parent, 100)
  drop_tile(child, f[3])
  if told.gap and f[2] and f[2] ~= '' then
    redis.call('HSET', row, 'error', f[2])
    terminate(parent, f[3], 'failed', now)
    return schedule_tiles(now)
  end
  tell_progress(parent, now, true)
  local ring = schedule_tiles(now)
  if done >= tonumber(f[1]) then ring[#ring + 1] = queue_merge(parent, now) end
  return ring
end
