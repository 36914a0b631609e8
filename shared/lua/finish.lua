-- The owner, and only the owner, ends a job: result, status and event at once.
-- ARGV: id, owner token, terminal status, then row fields
local id, row = ARGV[1], JOB .. ARGV[1]
local f = redis.call('HMGET', row, 'status', 'owner', 'tenant')
if f[1] ~= 'running' or f[2] ~= ARGV[2] then
  count('jobs.late_finish_refused')
  return 0
end
if #ARGV > 3 then redis.call('HSET', row, unpack(ARGV, 4)) end
redis.call('HINCRBY', row, 'commits', 1)
terminate(id, f[3], ARGV[3], now_ms())
return 1
