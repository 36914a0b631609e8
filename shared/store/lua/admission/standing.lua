-- Where a tenant's new jobs would stand, and how full the service is. ARGV: tenant, then for each
-- queue the score below which the tenant's other jobs come first
return {places(ARGV[1], {unpack(ARGV, 2)}), redis.call('ZCARD', QUEUED),
  redis.call('ZCARD', LEASES)}
