-- See whether the indexes of a tenant lack what older versions have changed.
-- ARGV: the name below
-- Returns how many changes these have made so far, or nil if the indexes are complete.
local tenant = ARGV[1]

local unfiled = count_unfiled()
if redis.call('GET', TENANT_JOBS .. tenant .. JOBS_FILED_AT) ~= unfiled then return unfiled end
-- a Redis that takes no writes still lists
pcall(mark_complete, tenant, unfiled)
return nil
