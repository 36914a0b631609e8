-- Report the owner's work: what it has written into the stream, progress into row and stream.
-- ARGV: the names below; text begins at byte `at` of what this attempt has written;
--       thought begins at byte thought_at of what the model has thought; progress_json '' = unchanged
-- Returns a verdict as beat does (0 lost, 1 go on, 2 stop), and how many bytes of the attempt's text
-- and of its thinking are here now: the next report begins there, also where Redis has lost some.
local job_id, owner, events_max, at, text, progress_json, thought_at, thought = unpack(ARGV)

local key = JOB .. job_id
local job = fields(key, 'status', 'owner', 'cancel', 'parent', 'thought')
if job.status ~= 'running' or job.owner ~= owner then return {0, 0, 0} end
if job.parent and redis.call('EXISTS', JOB .. job.parent) == 0 then return {0, 0, 0} end
local added, total = add_text(job_id, tonumber(at), text)
if job.parent then
  -- a tile has no stream of its own: its text goes through its parent's
  if progress_json ~= '' then
    set_tile_percent(job_id, job.parent, math.floor(cjson.decode(progress_json).percent))
    report_tiles_progress(job.parent, now_ms(), false)
  end
  if added ~= '' then stream_live_text(job.parent) end
  return {1, total, 0}
end
local thoughts = job.thought or ''
local new = tonumber(thought_at) <= #thoughts and string.sub(thought, #thoughts - thought_at + 1) or ''
if new ~= '' then
  thoughts = thoughts .. new
  emit(job_id, 'output.reasoning', cjson.encode({text = new}), events_max)
  redis.call('HSET', key, 'streamed', '1', 'thought', thoughts)
end
if added ~= '' then
  emit(job_id, 'output.delta', cjson.encode({text = added}), events_max)
  redis.call('HSET', key, 'streamed', '1')
end
if progress_json ~= '' then
  redis.call('HSET', key, 'progress', progress_json)
  emit(job_id, 'job.progress', progress_json, events_max)
  notify_progress(job_id, now_ms())
end
return {job.cancel == '1' and 2 or 1, total, #thoughts}
