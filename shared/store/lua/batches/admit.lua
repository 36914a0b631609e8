-- A line of a batch has its job.
-- ARGV: the names below; line counts from 0
-- Returns 1; 0 when the batch is another owner's; 2 when Redis has lost this job or lines before it.
local name, owner, line, job_id = unpack(ARGV)
local key = BATCH .. name
local batch = fields(key, 'owner', 'next', 'kept_until_ms')

if batch.owner ~= owner then return 0 end
if tonumber(line) > tonumber(batch.next) or redis.call('EXISTS', JOB .. job_id) == 0 then return 2 end
if batch.next == line then redis.call('HSET', key, 'next', line + 1) end
if redis.call('GETBIT', key .. BATCH_SETTLED, line) == 1 then return 1 end
redis.call('HSET', key .. BATCH_OPEN, line, job_id)
extend(key .. BATCH_OPEN, batch.kept_until_ms)
return 1
