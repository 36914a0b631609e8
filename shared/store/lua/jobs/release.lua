-- A stopping worker gives a job back; the attempt does not count.
-- ARGV: id, owner token
local id, row = ARGV[1], JOB .. ARGV[1]
local f = redis.call('HMGET', row, 'status', 'owner')
if f[1] ~= 'running' or f[2] ~= ARGV[2] then return nil end
redis.call('HINCRBY', row, 'attempt', -1)
count('jobs.released')
return requeue(id, 'released', now_ms())
