-- Count the tiles of long jobs that are not queued yet, and what they will cost.
-- ARGV: the most long jobs to look at, and the pool of their model
-- Returns how many long jobs have such tiles, and of each that was looked at its tiles, their
-- predicted busy ms (0 = unknown) together, and the demand of one ('' = unknown).
local most, long = tonumber(ARGV[1]), pooled(LONG, ARGV[2])
local MOST_NAMES = 5000 -- Lua's stack has no room for more at once

local jobs = {}
for _, parent in ipairs(redis.call('ZRANGE', long, 0, most - 1)) do
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
  local tile = child and fields(JOB .. child, 'busy_ms', 'demand') or {}
  jobs[#jobs + 1] = {count, count * (tonumber(tile.busy_ms or 0) or 0), tile.demand or ''}
end
return {redis.call('ZCARD', long), jobs}
