-- Split a long job for its owner: the row waits without a worker while its children, one for each
-- tile, go through the queue.
-- KEYS: the images of the tiles
-- ARGV: the names below, then of each tile child id, input and whether its text may be streamed
--       while it is read ('1' or ''); of a tile that needs no work '', its outcome and ''.
--       room bounds the children that are queued or running; fields_json are further row fields;
--       with images_stored '1' the images were stored for this split
-- Returns id and queue of each row that needs a doorbell, also when it is sent again; nil when the
-- job is no longer this owner's, 'image_missing' where Redis has lost what was stored.
local job_id, owner, room, images_stored, fields_json = unpack(ARGV, 1, 5)
local FIRST_TILE = 6

local key = JOB .. job_id
local tiles_key = key .. JOB_TILES
local job = fields(key, 'status', 'owner', 'tenant', 'cancel', 'ttl_ms', 'expire_ms', 'queue',
  'trace', 'session_id', 'session_generation', 'created_ms', 'started_ms', 'queued_ms',
  'version', 'max_attempts', 'busy_ms', 'number', 'split_by', 'needs',
  'demand', 'pool', 'asked', 'model')
if job.split_by == owner then return waiting_rows(job_id) end
if job.status ~= 'running' or job.owner ~= owner then return nil end
for _, image in ipairs(KEYS) do
  if images_stored == '1' and redis.call('EXISTS', image) == 0 then return 'image_missing' end
end
local now = now_ms()
if job.cancel == '1' then
  terminate(job_id, job.tenant, 'canceled', now)
  return {}
end
local kept_until = life_end(now, job.expire_ms, job.ttl_ms)
for name, value in pairs(cjson.decode(fields_json)) do redis.call('HSET', key, name, value) end

-- Return what one of so many parts asks of a worker, and what their merge does; see Demand.
local function demand_of_parts(text, count)
  if (text or '') == '' then return '', '' end
  local serial_ms, steps, parts, part_ms, part_steps = unpack(cjson.decode(text))
  local scale = parts / math.max(1, count)
  return cjson.encode({part_ms * scale, part_steps * scale, 0, 0, 0}),
    cjson.encode({serial_ms, steps, 0, 0, 0})
end

local total, done, index = (#ARGV - FIRST_TILE + 1) / 3, 0, 0
-- what the job was predicted to cost is now its tiles' cost, and that of the pages that are read
local paid = total
if (redis.call('HGET', key, 'pages') or '') ~= '' then
  for child in argument_groups(FIRST_TILE, 3) do
    if child == '' then paid = paid - 1 end
  end
end
local busy_ms = math.floor(tonumber(job.busy_ms or 0) / math.max(1, paid))
local part, merge = demand_of_parts(job.demand, paid)
for child, value, live in argument_groups(FIRST_TILE, 3) do
  if child == '' then
    done = done + 1
    redis.call('HSET', tiles_key, 'out:' .. index, value)
    emit_page(job_id, index, cjson.decode(value))
  else
    redis.call('HSET', tiles_key, 'id:' .. index, child)
    redis.call('HSET', JOB .. child, 'id', child, 'tenant', job.tenant, 'status', 'held',
      'owner', '', 'parent', job_id, 'tile', index, 'live', live, 'input', value,
      'queue', job.queue, 'attempt', 0, 'max_attempts', job.max_attempts, 'lost', 0,
      'version', job.version, 'created_ms', now, 'queued_ms', now, 'expires_ms', job.expire_ms,
      'expire_ms', job.expire_ms, 'ttl_ms', job.ttl_ms, 'trace', job.trace or '',
      'busy_ms', busy_ms, 'demand', part, 'needs', job.needs or '',
      'pool', job.pool or '', 'asked', job.asked or '', 'model', job.model or '')
    -- its parent's end removes it; if somebody deletes the parent, its time does
    redis.call('PEXPIREAT', JOB .. child, kept_until)
  end
  index = index + 1
end
redis.call('HSET', key, 'busy_ms', 0, 'demand', merge, 'owner', '', 'split_by', owner, 'phase', 'tiles',
  'tiles_total', total, 'tiles_done', done, 'tiles_known', done, 'tile_percent', 100 * done,
  'tile_next', 0, 'tile_told', 0,
  'split_ms', now, 'waited_ms', tonumber(job.started_ms) - tonumber(job.queued_ms))
redis.call('ZREM', LEASES, job_id)

local session = job.session_id and job.session_id ~= ''
  and SESSION .. job.tenant .. ':' .. job.session_id
local remembers = session and is_same_session(session, job)
for _, image in ipairs(KEYS) do
  use_image(image, job_id, kept_until, now)
  if remembers then remember_image(session, image, now) end
end
redis.call('ZADD', TENANT_JOBS .. job.tenant .. JOBS_SPLIT, job.number, job_id)
extend(TENANT_JOBS .. job.tenant .. JOBS_SPLIT, kept_until)
redis.call('ZADD', SPLIT, job.started_ms, job_id)
extend(SPLIT, kept_until)
local pool = job.pool or ''
redis.call('SET', pooled(TILES_ROOM, pool), room)
count_filed('jobs.split')
report_tiles_progress(job_id, now, true)
if done == total then return {queue_merge(job_id, now)} end
file_long_job(job_id, job.tenant, pool, redis.call('INCR', SEQUENCE))
extend(pooled(LONG_OF .. job.tenant, pool), kept_until)
return schedule_tiles(pool, now)
