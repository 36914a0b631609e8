-- Steps that end a row or give it back, with its tiles and deliveries.

-- The one way into a terminal status: result, event and clean-up in one transaction.
local function terminate(job_id, tenant, status, now)
  local key = JOB .. job_id
  local ttl_ms = tonumber(redis.call('HGET', key, 'ttl_ms'))
  redis.call('HSET', key, 'status', status, 'owner', '', 'completed_ms', now,
    'expires_ms', now + ttl_ms)
  dequeue(job_id, line_of(job_id, tenant))
  redis.call('ZREM', LEASES, job_id)
  redis.call('ZREM', EXPIRY, job_id)
  end_job(job_id, tenant)
  end_tiles(job_id, tenant, status)
  local session_id = redis.call('HGET', key, 'session_id')
  if session_id and session_id ~= '' then leave_session(job_id, tenant, session_id) end
  emit(job_id, 'job.' .. status)
  drop_progress(job_id, now)
  notify(job_id, 'completed', 'job.' .. status, now)
  if status == 'succeeded' and redis.call('HGET', key, 'review_state') == 'open' then
    notify(job_id, 'needs_review', 'job.needs_review', now)
  end
  settle_in_group(job_id, tenant, status, now)
  count_filed('jobs.' .. status)
  file_ended(job_id, tenant, status, now, ttl_ms)
  count_usage(job_id, tenant, status, now)
  keep_images_of_ended(job_id, now + ttl_ms, now)
  redis.call('PEXPIREAT', key, now + ttl_ms)
  redis.call('PEXPIREAT', key .. JOB_DELIVERIES, now + ttl_ms)
  redis.call('PEXPIREAT', key .. EVENTS, now + ttl_ms)
  redis.call('PEXPIREAT', key .. JOB_TILES, now + ttl_ms)
  -- a client that still waits can no longer end the job by leaving
  redis.call('DEL', key .. JOB_TEXT, key .. JOB_WAITERS, key .. JOB_WAITING)
  redis.call('HDEL', key, 'thought')
end

-- A request waits for a job from now on; its leaving may cancel it.
local function join_job(job_id, waiter)
  local WAITERS_TTL_MS = 3600000 -- far longer than any client waits before it comes back
  local key = JOB .. job_id
  if terminal(redis.call('HGET', key, 'status')) then return end
  if redis.call('HSET', key .. JOB_WAITING, waiter, '1') == 0 then return end
  redis.call('PEXPIRE', key .. JOB_WAITING, WAITERS_TTL_MS)
  -- gateways of 0.1 cancel a job only while they joined it last
  redis.call('INCR', key .. JOB_WAITERS)
  redis.call('PEXPIRE', key .. JOB_WAITERS, WAITERS_TTL_MS)
end

-- Cancel a queued job at once, or ask the worker of a running one to stop.
-- Returns canceled, canceling, missing, or the terminal status that the job had.
local function cancel_job(job_id, tenant)
  local key = JOB .. job_id
  local job = fields(key, 'status', 'tenant', 'phase', 'parent')
  if not job.status or job.tenant ~= tenant or job.parent then return 'missing' end
  -- a long job whose tiles are worked on has no worker that could be asked
  if job.status == 'queued' or (job.status == 'running' and job.phase == 'tiles') then
    terminate(job_id, tenant, 'canceled', now_ms())
    return 'canceled'
  end
  if job.status == 'running' then
    redis.call('HSET', key, 'cancel', '1')
    return 'canceling'
  end
  return job.status
end

-- A running row loses its worker: queue it again, or end it if it was canceled or is overdue.
-- Returns the queue of a row that needs a doorbell, else nil.
local function requeue(job_id, reason, now)
  local key = JOB .. job_id
  local job = fields(key, 'tenant', 'score', 'cancel', 'expire_ms', 'parent', 'phase', 'queue',
    'pool')
  redis.call('ZREM', LEASES, job_id)
  if job.parent and redis.call('EXISTS', JOB .. job.parent) == 0 then
    drop_tile(job_id, job.tenant)
    return nil
  end
  if job.parent then
    enqueue(job_id, line_name(job.tenant, job.pool, true), job.score, now)
    reset_tile(job_id, job.parent)
    return bell_of(job)
  end
  if job.cancel == '1' then
    terminate(job_id, job.tenant, 'canceled', now)
    return nil
  end
  if now >= tonumber(job.expire_ms) then
    terminate(job_id, job.tenant, 'expired', now)
    return nil
  end
  enqueue(job_id, line_name(job.tenant, job.pool), job.score, now)
  -- to its caller a long job is still running
  if job.phase then return bell_of(job) end
  redis.call('HSET', key, 'progress', '')
  emit(job_id, 'job.queued',
    cjson.encode({reason = reason, position = position(job_id, job.tenant)}))
  return bell_of(job)
end

-- A tile of a pool has its outcome, which its parent keeps; the last one queues the merge.
-- Returns id and queue of each row that needs a doorbell.
local function end_tile(child, parent, index, outcome_json, pool, now)
  local key = JOB .. parent
  local job = fields(key, 'tiles_total', 'strict_error', 'tenant')
  local outcome = cjson.decode(outcome_json)
  if not job.tenant then
    drop_tile(child, redis.call('HGET', JOB .. child, 'tenant'))
    return schedule_tiles(pool, now)
  end
  redis.call('HSET', key .. JOB_TILES, 'out:' .. index, outcome_json)
  local done = redis.call('HINCRBY', key, 'tiles_done', 1)
  redis.call('HINCRBY', key, 'tile_tokens', outcome.tokens or 0)
  count(outcome.gap and 'tiles.gaps' or 'tiles.done')
  emit_page(parent, tonumber(index), outcome)
  set_tile_percent(child, parent, 100)
  drop_tile(child, job.tenant)
  if outcome.gap and job.strict_error and job.strict_error ~= '' then
    redis.call('HSET', key, 'error', job.strict_error)
    terminate(parent, job.tenant, 'failed', now)
    return schedule_tiles(pool, now)
  end
  report_tiles_progress(parent, now, true)
  local doorbells = schedule_tiles(pool, now)
  if done >= tonumber(job.tiles_total) then
    doorbells[#doorbells + 1] = queue_merge(parent, now)
  end
  return doorbells
end

-- Forget what waits or counts of a tenant's jobs whose rows somebody else has deleted; a call looks
-- at a piece of them, and the next one goes on from there.
local function forget_vanished(tenant, now)
  local MOST = 100
  for _, job_id in ipairs(next_members('SSCAN', UNFINISHED .. tenant, MOST)) do
    local key = JOB .. job_id
    if redis.call('EXISTS', key) == 0 then
      -- nobody knows which model it was for
      dequeue(job_id, line_name(tenant))
      for _, pool in ipairs(redis.call('SMEMBERS', POOLS)) do
        dequeue(job_id, line_name(tenant, pool))
      end
      redis.call('ZREM', LEASES, job_id)
      redis.call('ZREM', EXPIRY, job_id)
      end_tiles(job_id, tenant, 'erased')
      end_job(job_id, tenant)
      redis.call('DEL', key .. EVENTS, key .. JOB_DELIVERIES, key .. JOB_TEXT, key .. JOB_WAITERS,
        key .. JOB_WAITING, key .. JOB_IMAGES)
      count('jobs.vanished')
    end
  end
  redis.call('ZADD', UNFINISHED_TENANTS, 'XX', now, tenant)
end
