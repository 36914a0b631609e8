-- Set what people have said of a job's answer, unless somebody else has done so since it was read.
-- ARGV: the names below; version is the one that was read, token names this call
-- Returns applied, also when it is sent again; changed, missing, or a status other than succeeded
local job_id, tenant, version, token, review_json, state = unpack(ARGV)

local key = JOB .. job_id
local job = fields(key, 'status', 'tenant', 'parent', 'review_version', 'review_token')
if not job.status or job.tenant ~= tenant or job.parent then return 'missing' end
if job.status ~= 'succeeded' then return job.status end
if job.review_token == token then return 'applied' end
if (job.review_version or '0') ~= version then return 'changed' end
redis.call('HSET', key, 'review', review_json, 'review_state', state, 'review_token', token)
redis.call('HINCRBY', key, 'review_version', 1)
count('jobs.reviewed')
return 'applied'
