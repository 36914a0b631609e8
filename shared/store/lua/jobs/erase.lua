-- Remove a job and all that it left; its id answers "gone" for a while.
-- KEYS: the images of the job
-- ARGV: the names below; gone_ms is how long the id stays known
-- Returns 1, or 0 when the job is unknown.
local job_id, tenant, gone_ms = unpack(ARGV)

local key = JOB .. job_id
local job = fields(key, 'status', 'tenant', 'idempotency', 'session_id')
if not job.status or job.tenant ~= tenant then return 0 end
dequeue(job_id, tenant)
redis.call('ZREM', LEASES, job_id)
redis.call('ZREM', EXPIRY, job_id)
end_tiles(job_id, 'erased')
redis.call('SREM', UNFINISHED .. tenant, job_id)
local place = redis.call('ZSCORE', TENANT_JOBS .. tenant, job_id)
redis.call('ZREM', TENANT_JOBS .. tenant, job_id)
if job.session_id and job.session_id ~= '' then
  leave_session(job_id, tenant, job.session_id)
  local turns = SESSION .. tenant .. ':' .. job.session_id .. SESSION_TURNS
  for _, turn in ipairs(redis.call('LRANGE', turns, 0, -1)) do
    if cjson.decode(turn).job_id == job_id then redis.call('LREM', turns, 0, turn) end
  end
end
for _, delivery_id in ipairs(redis.call('LRANGE', key .. JOB_DELIVERIES, 0, -1)) do
  forget_delivery(delivery_id, now_ms())
end
redis.call('DEL', key, key .. EVENTS, key .. JOB_DELIVERIES, key .. JOB_TEXT, key .. JOB_WAITERS,
  key .. JOB_WAITING)
if job.idempotency and redis.call('HGET', job.idempotency, 'job') == job_id then
  redis.call('DEL', job.idempotency)
end
for _, image in ipairs(KEYS) do
  redis.call('SREM', image .. IMAGE_JOBS, job_id)
  -- an image that was uploaded by itself belongs to its uploader
  if redis.call('SCARD', image .. IMAGE_JOBS) == 0
    and redis.call('HGET', image, 'uploaded') ~= '1' then
    redis.call('DEL', image, image .. IMAGE_JOBS)
  end
end
-- with its place in the list, so that a page can begin where it stood
redis.call('SET', GONE .. job_id, (place or '0') .. ':' .. tenant, 'PX', gone_ms)
count('jobs.erased')
return 1
