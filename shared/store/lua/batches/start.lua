-- The lines of a batch are checked: it goes on, unless it was canceled meanwhile.
-- ARGV: the names below
local name, owner, total = unpack(ARGV)
local key = BATCH .. name
local batch = fields(key, 'owner', 'status')

if batch.owner ~= owner then return 0 end
redis.call('HSET', key, 'total', total)
if batch.status == 'validating' then
  redis.call('HSET', key, 'status', 'in_progress', 'in_progress_ms', now_ms())
end
return 1
