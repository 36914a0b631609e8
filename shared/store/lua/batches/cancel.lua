-- Ask for the end of a batch; the pump that has it, or takes it next, ends its jobs.
-- ARGV: the names below
-- Returns its row, or nil when it is unknown.
local name = ARGV[1]
local key = BATCH .. name
local status = redis.call('HGET', key, 'status')

if not status then return nil end
if status == 'validating' or status == 'in_progress' then
  redis.call('HSET', key, 'status', 'cancelling', 'cancelling_ms', now_ms())
end
return redis.call('HGETALL', key)
