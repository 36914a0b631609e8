-- Where a tenant's new jobs would stand, and how full the service is.
-- ARGV: tenant, then for each queue the score below which the tenant's other jobs come first
-- Returns how many jobs would be taken before one in each queue, the queued, and the running jobs.
local tenant = ARGV[1]
local FIRST_SCORE = 2

return {places(tenant, {unpack(ARGV, FIRST_SCORE)}), redis.call('ZCARD', QUEUED),
  redis.call('ZCARD', LEASES)}
