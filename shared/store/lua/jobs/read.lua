-- A job for its tenant. ARGV: id, tenant
-- Answers its row, or erased, or unknown: a foreign id takes the same steps as one that never was.
local f = redis.call('HMGET', JOB .. ARGV[1], 'tenant', 'parent')
-- a tile's row is nobody's job
if f[1] == ARGV[2] and not f[2] then return redis.call('HGETALL', JOB .. ARGV[1]) end
local gone = redis.call('GET', GONE .. ARGV[1])
if gone and string.match(gone, '^[^:]*:(.*)$') == ARGV[2] then return 'erased' end
return 'unknown'
