-- Keep the outcome of a tile for the owner of its child, or queue the child again.
-- ARGV: the names below; room bounds the children that are queued or running;
--       outcome_json '' = try again
-- Returns id and queue of each row that needs a doorbell; nil when the child is no longer this
-- owner's.
local child, owner, room, outcome_json = unpack(ARGV)

local job = fields(JOB .. child, 'status', 'owner', 'parent', 'tile')
if job.status ~= 'running' or job.owner ~= owner then
  count('tiles.late_finish_refused')
  return nil
end
local now = now_ms()
redis.call('SET', TILES_ROOM, room)
if outcome_json == '' then
  return {{child, requeue(child, 'tile_failed', now)}}
end
return end_tile(child, job.parent, job.tile, outcome_json, now)
