-- The owner of a tile's child tells its outcome, or that it must be tried again.
-- ARGV: child id, owner token, room for tiles, outcome json ('' = try again)
-- Answers nil when the child is no longer this owner's, else what to ring for.
local child, row = ARGV[1], JOB .. ARGV[1]
local f = redis.call('HMGET', row, 'status', 'owner', 'parent', 'tile')
if f[1] ~= 'running' or f[2] ~= ARGV[2] then
  count('tiles.late_finish_refused')
  return nil
end
local now = now_ms()
redis.call('SET', TILES_ROOM, ARGV[3])
if ARGV[4] == '' then
  return {{child, requeue(child, 'tile_failed', now)}}
end
return end_tile(child, f[3], f[4], ARGV[4], now)
