-- Where a job stands in the queue.
-- ARGV: the names below
-- Returns how many jobs will be taken before it, or nil when it is not queued.
local job_id, tenant = unpack(ARGV)

return position(job_id, tenant)
