-- Where a tenant's new jobs for a model would stand, and how full the service is.
-- ARGV: tenant, the pool of the model and the model ('' = whichever), then for each queue the score
--       below which the tenant's other jobs come first
-- Returns how many jobs would be taken before one in each queue, the queued of the pool, and the
-- running jobs of the model.
local tenant, pool, model = unpack(ARGV, 1, 3)
local FIRST_SCORE = 4

return {places(line_name(tenant, pool), {unpack(ARGV, FIRST_SCORE)}),
  redis.call('ZCARD', pooled(QUEUED_SINCE, pool)), running_of(model)}
