-- Cancel a queued job at once, or ask the worker of a running one to stop.
-- ARGV: the names below
-- Returns canceled, canceling, missing, or the terminal status that the job had.
local job_id, tenant = unpack(ARGV)

return cancel_job(job_id, tenant)
