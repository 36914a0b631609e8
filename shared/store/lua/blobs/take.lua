-- Look after blobs whose time has come.
-- ARGV: the names below; lease_ms is for the deletion of those that are returned
-- Returns the names of blobs that no row has, which nobody else gets for that long.
local most, lease_ms = unpack(ARGV)
local LATER_MS, SLACK_MS = 3600000, 1000
local now = now_ms()

local function due(list)
  return redis.call('ZRANGE', list, '-inf', now, 'BYSCORE', 'LIMIT', 0, most)
end

for _, name in ipairs(due(BLOBS)) do
  local row = redis.call('HGET', BLOB_ROWS, name)
  if row and row ~= '' and redis.call('HGET', row, 'blob') == name then
    local left_ms = redis.call('PTTL', row)
    redis.call('ZADD', BLOBS, now + (left_ms < 0 and LATER_MS or left_ms + SLACK_MS), name)
  else
    redis.call('ZREM', BLOBS, name)
    redis.call('ZADD', BLOBS_DOOMED, now, name)
  end
end
local names = due(BLOBS_DOOMED)
for _, name in ipairs(names) do redis.call('ZADD', BLOBS_DOOMED, now + lease_ms, name) end
return names
