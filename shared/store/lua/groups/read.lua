-- Read a group, after a look at some of its jobs that others may have ended.
-- ARGV: the names below
-- Returns its fields; how many of its jobs have not ended, and how many of them run; the one that is
-- taken last. Nil when it is unknown.
local tenant, group = unpack(ARGV)
local key = GROUP .. tenant .. ':' .. group
local open = key .. GROUP_OPEN

if redis.call('EXISTS', key) == 0 then return nil end
if redis.call('EXISTS', open) == 1 then look_at_group(tenant .. ':' .. group, now_ms()) end
local running = 0
-- workers hold no more than they have slots; long jobs between their steps stand apart
for _, index in ipairs({LEASES, TENANT_JOBS .. tenant .. JOBS_SPLIT}) do
  for _, job_id in ipairs(redis.call('ZRANGE', index, 0, 9999)) do
    local is_counted = index ~= LEASES
      and redis.call('ZSCORE', LEASES, job_id)
    if not is_counted and redis.call('ZSCORE', open, job_id) then running = running + 1 end
  end
end
local last = redis.call('ZREVRANGE', open, 0, 0)[1]
return {redis.call('HGETALL', key), redis.call('ZCARD', open), running, last or ''}
