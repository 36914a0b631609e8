-- A request no longer waits for a job; cancel the job if nobody else does.
-- ARGV: the names below; cancels '' = the request may still come back
-- Returns what cancel returns, or kept for an unfinished job that goes on.
local job_id, tenant, waiter, cancels = unpack(ARGV)
local LEFT = 'left'

local key = JOB .. job_id .. JOB_WAITING
if redis.call('HDEL', key, waiter) == 1 then redis.call('HSET', key, LEFT, waiter) end
local status = redis.call('HGET', JOB .. job_id, 'status')
if not status then return 'missing' end
if terminal(status) then return status end
-- only the last one that has left decides
if cancels ~= '1' or redis.call('HLEN', key) > 1 or redis.call('HGET', key, LEFT) ~= waiter then
  return 'kept'
end
return cancel_job(job_id, tenant)
