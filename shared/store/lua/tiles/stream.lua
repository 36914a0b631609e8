-- Stream what the first tiles of a long job add to its text, in reading order.
-- ARGV: the names below, then the piece of each tile; first is the number of the first of them;
--       seam_json is what whoever streams the next ones must know of the text so far, '' = nothing
-- Returns how many tiles are streamed; nil when the job has ended.
local job_id, first, seam_json = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local FIRST_PIECE = 4

local job = fields(JOB .. job_id, 'status', 'phase', 'tile_told')
if (job.status ~= 'running' and job.status ~= 'queued') or not job.phase then return nil end
local index, streamed = first, tonumber(job.tile_told)
for piece in argument_groups(FIRST_PIECE, 1) do
  -- another worker may have streamed the first of them meanwhile
  if index == streamed then
    settle_tile(job_id, index, piece)
    streamed = streamed + 1
  end
  index = index + 1
end
if seam_json ~= '' and streamed == index then
  redis.call('HSET', JOB .. job_id .. JOB_TILES, 'seam', seam_json)
end
stream_live_text(job_id)
return streamed
