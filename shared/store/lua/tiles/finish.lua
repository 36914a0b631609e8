-- Keep the outcome of a tile for the owner of its child, or queue the child again.
-- ARGV: the names below; room bounds the children that are queued or running;
--       outcome_json '' = try again; drafted and accepted count the guesses of its answer, and
--       thought its thinking, which older workers do not know in an outcome
-- Returns id and queue of each row that needs a doorbell, also when it is sent again; nil when the
-- child is no longer this owner's.
local child, owner, room, outcome_json, parent, index, drafted, accepted, thought = unpack(ARGV)

local tiles_key = JOB .. parent .. JOB_TILES
local job = fields(JOB .. child, 'status', 'owner', 'released_by', 'queue', 'pool')
if job.status ~= 'running' or job.owner ~= owner then
  if job.status == 'queued' and job.released_by == owner then return {{child, bell_of(job)}} end
  if redis.call('HGET', tiles_key, 'by:' .. index) == owner then return waiting_rows(parent) end
  count('tiles.late_finish_refused')
  return nil
end
local now = now_ms()
redis.call('SET', pooled(TILES_ROOM, job.pool or ''), room)
if outcome_json == '' then
  redis.call('HSET', JOB .. child, 'released_by', owner)
  local queue = requeue(child, 'tile_failed', now)
  return queue and {{child, queue}} or {}
end
-- its parent's row may have been deleted, and must not come into being again
if redis.call('EXISTS', JOB .. parent) == 1 then
  redis.call('HSET', tiles_key, 'by:' .. index, owner)
  redis.call('HINCRBY', tiles_key, 'drafted', drafted)
  redis.call('HINCRBY', tiles_key, 'accepted', accepted)
  redis.call('HINCRBY', tiles_key, 'thought', thought)
end
return end_tile(child, parent, index, outcome_json, job.pool or '', now)
