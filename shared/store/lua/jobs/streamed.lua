-- Read what a job's events add up to.
-- ARGV: the names below
-- Returns the number of the newest event, the text of the stream at that point, the job's status
-- ('' without a row), and what the model has thought. Of an ended job there is no text: the row has
-- the answer.
local job_id = ARGV[1]

local job = fields(JOB .. job_id, 'events', 'status', 'thought')
return {tonumber(job.events or 0), streamed_text(job_id), job.status or '', job.thought or ''}
