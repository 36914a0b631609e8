-- A job and all that it left disappear; its id answers "gone" for a while.
-- KEYS: the images of the job. ARGV: id, tenant, ms that the id stays known
local id, row = ARGV[1], JOB .. ARGV[1]
local f = redis.call('HMGET', row, 'status', 'tenant', 'idempotency', 'session_id')
if not f[1] or f[2] ~= ARGV[2] then return 0 end
dequeue(id, f[2])
redis.call('ZREM', LEASES, id)
redis.call('ZREM', EXPIRY, id)
end_tiles(id, 'erased')
redis.call('SREM', UNFINISHED .. f[2], id)
local place = redis.call('ZSCORE', TENANT_JOBS .. f[2], id)
redis.call('ZREM', TENANT_JOBS .. f[2], id)
if f[4] and f[4] ~= '' then
  leave_session(id, f[2], f[4])
  local turns = SESSION .. f[2] .. ':' .. f[4] .. SESSION_TURNS
  for _, turn in ipairs(redis.call('LRANGE', turns, 0, -1)) do
    if cjson.decode(turn).job_id == id then redis.call('LREM', turns, 0, turn) end
  end
end
for _, delivery in ipairs(redis.call('LRANGE', row .. JOB_DELIVERIES, 0, -1)) do
  forget_delivery(delivery, now_ms())
end
redis.call('DEL', row, row .. EVENTS, row .. JOB_DELIVERIES, row .. JOB_WAITERS)
if f[3] and redis.call('HGET', f[3], 'job') == id then redis.call('DEL', f[3]) end
for _, image in ipairs(KEYS) do
  redis.call('SREM', image .. IMAGE_JOBS, id)
  -- an image that was uploaded by itself belongs to its uploader
  if redis.call('SCARD', image .. IMAGE_JOBS) == 0
    and redis.call('HGET', image, 'uploaded') ~= '1' then
    redis.call('DEL', image, image .. IMAGE_JOBS)
  end
end
-- with its place in the list, so that a page can begin where it stood
redis.call('SET', GONE .. id, (place or '0') .. ':' .. f[2], 'PX', ARGV[3])
count('jobs.erased')
return 1
