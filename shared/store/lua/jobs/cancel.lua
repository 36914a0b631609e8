-- A caller wants a job stopped. ARGV: id, tenant
local id, row = ARGV[1], JOB .. ARGV[1]
local f = redis.call('HMGET', row, 'status', 'tenant', 'phase', 'parent')
if not f[1] or f[2] ~= ARGV[2] or f[4] then return 'missing' end
-- a long job whose tiles are worked on has no worker that could be asked
if f[1] == 'queued' or (f[1] == 'running' and f[3] == 'tiles') then
  terminate(id, f[2], 'canceled', now_ms())
  return 'canceled'
end
if f[1] == 'running' then
  redis.call('HSET', row, 'cancel', '1')
  return 'canceling'
end
return f[1]
