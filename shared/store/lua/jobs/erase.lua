-- Remove a job and all that it left; its id answers "gone" for a while.
-- KEYS: the images of the job as its row names them
-- ARGV: the names below; gone_ms is how long the id stays known
-- Returns 1, also when it is sent again, or 0 when the job is unknown.
local job_id, tenant, gone_ms = unpack(ARGV)

local key, now = JOB .. job_id, now_ms()
local job = fields(key, 'status', 'tenant', 'idempotency', 'session_id', 'group')
if not job.status then
  -- the same call again: its first answer was lost on the way
  local gone = redis.call('GET', GONE .. job_id)
  return gone and string.match(gone, ':(.*)') == tenant and 1 or 0
end
if job.tenant ~= tenant then return 0 end

-- Return every image of the job: older versions note them in the row alone, and its worker may have
-- stored tiles that the row does not name yet.
local function all_images()
  local images, seen = {}, {}
  for _, list in ipairs({KEYS, redis.call('SMEMBERS', key .. JOB_IMAGES)}) do
    for _, image in ipairs(list) do
      if not seen[image] then images[#images + 1] = image end
      seen[image] = true
    end
  end
  return images
end

dequeue(job_id, line_of(job_id, tenant))
redis.call('ZREM', LEASES, job_id)
forget_claim(job_id)
redis.call('ZREM', EXPIRY, job_id)
end_tiles(job_id, tenant, 'erased')
end_job(job_id, tenant)
settle_in_group(job_id, tenant, 'erased', now)
if job.group and job.group ~= '' then
  local group = GROUP .. tenant .. ':' .. job.group
  redis.call('ZREM', group .. GROUP_JOBS, job_id)
  redis.call('ZREM', group .. GROUP_FAILED, job_id)
end
local place = unfile_job(job_id, tenant, job.status, job.session_id)
local images = all_images()
if job.session_id and job.session_id ~= '' then
  leave_session(job_id, tenant, job.session_id)
  forget_turns(job_id, SESSION .. tenant .. ':' .. job.session_id, images, now)
end
for _, delivery_id in ipairs(redis.call('LRANGE', key .. JOB_DELIVERIES, 0, -1)) do
  forget_delivery(delivery_id, now)
end
redis.call('DEL', key, key .. EVENTS, key .. JOB_DELIVERIES, key .. JOB_TEXT, key .. JOB_WAITERS,
  key .. JOB_WAITING, key .. JOB_IMAGES)
if job.idempotency and redis.call('HGET', job.idempotency, 'job') == job_id then
  redis.call('DEL', job.idempotency)
end
for _, image in ipairs(images) do release_image(image, job_id, now) end
-- workers may remember its answer: stored_file_mark computes the same of its id
note_erased(redis.sha1hex(tenant .. ':' .. job_id), now)
-- with its place in the list, so that a page can begin where it stood
redis.call('SET', GONE .. job_id, (place or '0') .. ':' .. tenant, 'PX', gone_ms)
count('jobs.erased')
return 1
