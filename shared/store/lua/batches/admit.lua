-- A line of a batch has its job.
-- ARGV: the names below; line counts from 0
local name, owner, line, job_id = unpack(ARGV)
local key = BATCH .. name
local batch = fields(key, 'owner', 'next', 'kept_until_ms')

if batch.owner ~= owner then return 0 end
if redis.call('GETBIT', key .. BATCH_SETTLED, line) == 1 then return 1 end
redis.call('HSET', key .. BATCH_OPEN, line, job_id)
extend(key .. BATCH_OPEN, batch.kept_until_ms)
if tonumber(batch.next) <= tonumber(line) then redis.call('HSET', key, 'next', line + 1) end
return 1
