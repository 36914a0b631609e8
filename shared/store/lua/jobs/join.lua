-- Count one more request that waits for a job.
-- ARGV: the names below
-- Returns its number, from 1; 0 for a job that is gone, of which nothing may stay behind.
local job_id, ttl_s = unpack(ARGV)

if redis.call('EXISTS', JOB .. job_id) == 0 then return 0 end
local number = redis.call('INCR', JOB .. job_id .. JOB_WAITERS)
redis.call('EXPIRE', JOB .. job_id .. JOB_WAITERS, ttl_s)
return number
