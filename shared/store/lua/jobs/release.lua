-- Give a job back to the queue because its worker cannot do it now; the attempt does not count.
-- ARGV: the names below; for pause_ms it stands in no line, so that others take its place meanwhile
-- Returns the queue of a job that needs a doorbell, also when it is sent again; nil when it is lost or
-- has ended.
local job_id, owner, pause_ms = unpack(ARGV)

local key = JOB .. job_id
local job = fields(key, 'status', 'owner', 'released_by', 'queue', 'pool', 'tenant', 'number',
  'parent', 'phase')
if job.status == 'queued' and job.released_by == owner then return bell_of(job) end
if job.status ~= 'running' or job.owner ~= owner then return nil end
redis.call('HINCRBY', key, 'attempt', -1)
redis.call('HSET', key, 'released_by', owner)
count('jobs.released')
local now = now_ms()
local queue = requeue(job_id, 'released', now)
if not queue or pause_ms == '0' or job.parent or job.phase then return queue end
dequeue(job_id, line_of(job_id, job.tenant))
defer(job_id, job.tenant, job.number, now + pause_ms)
return nil
