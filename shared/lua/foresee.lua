-- Where a tenant's new job would stand. ARGV: tenant, score below which its other jobs come first
local tenant = ARGV[1]
local before = redis.call('ZCOUNT', LINE .. tenant, '-inf', '(' .. ARGV[2])
local next_turn = tonumber(redis.call('ZSCORE', TURNS, tenant) or first_turn(tenant))
return {ahead_of(tenant, before, next_turn), redis.call('ZCARD', QUEUED),
  redis.call('ZCARD', LEASES)}
