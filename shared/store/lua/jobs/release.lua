-- Give a job back to the queue because its worker stops; the attempt does not count.
-- ARGV: the names below
-- Returns the queue of a job that needs a doorbell, also when it is sent again; nil when it is lost or
-- has ended.
local job_id, owner = unpack(ARGV)

local key = JOB .. job_id
local job = fields(key, 'status', 'owner', 'released_by', 'queue', 'pool')
if job.status == 'queued' and job.released_by == owner then return bell_of(job) end
if job.status ~= 'running' or job.owner ~= owner then return nil end
redis.call('HINCRBY', key, 'attempt', -1)
redis.call('HSET', key, 'released_by', owner)
count('jobs.released')
return requeue(job_id, 'released', now_ms())
