-- Groups of jobs: how many have ended in which way, and one message when all have.

-- Tell the end of a group whose promised jobs are all there and have ended; again if it grows later.
local function tell_group(tenant, group, now)
  local key = GROUP .. tenant .. ':' .. group
  local row = fields(key, 'size', 'total', 'told', 'created_ms', 'succeeded', 'failed', 'canceled',
    'expired', 'erased', 'webhook', 'webhook_endpoint', 'webhook_origin', 'webhook_url_id')
  -- '' where nothing is promised
  local total, size = tonumber(row.total or 0), tonumber(row.size or '')
  if row.told or not size or total < size then return end
  if redis.call('EXISTS', key .. GROUP_OPEN) == 1 then return end
  redis.call('HSET', key, 'told', 1, 'completed_ms', now)
  if not row.webhook or row.webhook == '' then return end
  local counts = {total = total}
  local words = key .. ':' .. row.created_ms .. ':' .. total
  for _, name in ipairs({'succeeded', 'failed', 'canceled', 'expired', 'erased'}) do
    counts[name] = tonumber(row[name] or 0)
    -- after a Redis that came back without some ends the same jobs may end in other ways
    words = words .. ':' .. counts[name]
  end
  add_delivery('dlv_' .. string.upper(redis.sha1hex(words)), tenant, row.webhook_endpoint,
    row.webhook_origin, now, 'api', 'groups', 'about', cjson.encode({id = group, counts = counts}),
    'type', 'group.completed', 'url', row.webhook, 'url_id', row.webhook_url_id)
end

-- A job that is new belongs to a group.
local function join_group(job_id, tenant, group, number, score, until_ms, now)
  local key, open = GROUP .. tenant .. ':' .. group, GROUP .. tenant .. ':' .. group .. GROUP_OPEN
  redis.call('HSETNX', key, 'created_ms', now)
  redis.call('HSET', key, 'id', group, 'updated_ms', now)
  redis.call('HINCRBY', key, 'total', 1)
  redis.call('HDEL', key, 'told', 'completed_ms')
  redis.call('ZADD', open, score, job_id)
  file_job(key .. GROUP_JOBS, job_id, number, until_ms, number)
  redis.call('ZADD', GROUPS_OPEN, 'NX', now, tenant .. ':' .. group)
  redis.call('ZADD', TENANT_GROUPS .. tenant, now, group)
  for _, name in ipairs({key, open, TENANT_GROUPS .. tenant}) do extend(name, until_ms) end
end

-- A job of a group has ended, whoever says so first.
local function settle_member(job_id, tenant, group, status, now)
  local key = GROUP .. tenant .. ':' .. group
  if redis.call('ZREM', key .. GROUP_OPEN, job_id) == 0 then return end
  redis.call('HINCRBY', key, status, 1)
  redis.call('HSET', key, 'updated_ms', now)
  if status == 'failed' or status == 'expired' then
    local job = fields(JOB .. job_id, 'number', 'expires_ms')
    redis.call('ZADD', key .. GROUP_FAILED, job.number or 0, job_id)
    extend(key .. GROUP_FAILED, tonumber(job.expires_ms or now))
  end
  if redis.call('EXISTS', key .. GROUP_OPEN) == 0 then
    redis.call('ZREM', GROUPS_OPEN, tenant .. ':' .. group)
  end
  tell_group(tenant, group, now)
end

-- The same for a job whose row is there.
local function settle_in_group(job_id, tenant, status, now)
  local group = redis.call('HGET', JOB .. job_id, 'group')
  if group and group ~= '' then settle_member(job_id, tenant, group, status, now) end
end

-- Settle some jobs of a group that an older version has ended, or whose rows somebody has deleted.
local function look_at_group(name, now)
  local MOST = 100
  local tenant, group = string.match(name, '^(.-):(.*)$')
  local entries = next_members('ZSCAN', GROUP .. name .. GROUP_OPEN, MOST)
  for i = 1, #entries, 2 do
    local status = redis.call('HGET', JOB .. entries[i], 'status')
    if not status then
      settle_member(entries[i], tenant, group, 'erased', now)
    elseif terminal(status) then
      settle_member(entries[i], tenant, group, status, now)
    end
  end
  if redis.call('EXISTS', GROUP .. name .. GROUP_OPEN) == 0 then
    redis.call('ZREM', GROUPS_OPEN, name)
  else
    redis.call('ZADD', GROUPS_OPEN, 'XX', now, name)
  end
end
