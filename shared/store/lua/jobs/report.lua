-- Report the owner's work: progress into the row, events into the stream.
-- ARGV: the names below, then type and JSON data of each event; progress_json '' = unchanged
-- Returns a verdict as beat does: 0 lost, 1 go on, 2 stop (canceled).
local job_id, owner, progress_json, events_max = unpack(ARGV, 1, 4)
local FIRST_EVENT = 5

local key = JOB .. job_id
local job = fields(key, 'status', 'owner', 'cancel', 'parent', 'said')
if job.status ~= 'running' or job.owner ~= owner then return 0 end
if job.parent and redis.call('EXISTS', JOB .. job.parent) == 0 then return 0 end
if job.parent then
  -- a tile has no stream of its own: its text goes through its parent's
  local before = job.said or ''
  local text = before
  for kind, data in argument_groups(FIRST_EVENT, 2) do
    if kind == 'output.delta' then text = text .. cjson.decode(data).text end
  end
  redis.call('HSET', key, 'said', text)
  if progress_json ~= '' then
    set_tile_percent(job_id, job.parent, math.floor(cjson.decode(progress_json).percent))
    report_tiles_progress(job.parent, now_ms(), false)
  end
  if text ~= before then stream_live_text(job.parent) end
  return 1
end
if progress_json ~= '' then
  redis.call('HSET', key, 'progress', progress_json)
  notify_progress(job_id, now_ms())
end
for kind, data in argument_groups(FIRST_EVENT, 2) do
  emit(job_id, kind, data, events_max)
  if kind == 'output.delta' then redis.call('HSET', key, 'streamed', '1') end
end
return job.cancel == '1' and 2 or 1
