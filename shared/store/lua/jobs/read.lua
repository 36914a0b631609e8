-- Read a job for its tenant.
-- ARGV: the names below
-- Returns the row, or erased, or unknown: a foreign id takes the same steps as an unknown one.
local job_id, tenant = unpack(ARGV)

local job = fields(JOB .. job_id, 'tenant', 'parent')
-- to its caller a tile is no job
if job.tenant == tenant and not job.parent then return redis.call('HGETALL', JOB .. job_id) end
local gone = redis.call('GET', GONE .. job_id)
if gone and string.match(gone, '^[^:]*:(.*)$') == tenant then return 'erased' end
return 'unknown'
