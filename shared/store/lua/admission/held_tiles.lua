-- Count the tiles of long jobs that are not queued yet, and what they will cost.
-- ARGV: the most long jobs to look at
-- Returns how many long jobs have such tiles, how many were looked at, and of these the tiles and
-- their predicted busy ms (0 = unknown).
local most = tonumber(ARGV[1])
local MOST_NAMES = 5000 -- Lua's stack has no room for more at once

local tiles, busy_ms = 0, 0
local parents = redis.call('ZRANGE', LONG, 0, most - 1)
for _, parent in ipairs(parents) do
  local key = JOB .. parent
  local job = fields(key, 'tile_next', 'tiles_total')
  local names = {}
  for index = tonumber(job.tile_next or 0), tonumber(job.tiles_total or 0) - 1 do
    if #names < MOST_NAMES then names[#names + 1] = 'id:' .. index end
  end
  local child, count = nil, 0
  if #names > 0 then
    -- a tile without ink has no child
    for _, id in ipairs(redis.call('HMGET', key .. JOB_TILES, unpack(names))) do
      if id then child, count = id, count + 1 end
    end
  end
  if child then
    tiles = tiles + count
    busy_ms = busy_ms + count * (tonumber(redis.call('HGET', JOB .. child, 'busy_ms') or 0) or 0)
  end
end
return {redis.call('ZCARD', LONG), #parents, tiles, busy_ms}
