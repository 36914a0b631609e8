-- A line of a batch has its result: the one and only line of the output or of the errors.
-- ARGV: the names below; job_id is the line's job, '' = it has none; kind is completed or failed,
--       file_id the file that the text belongs to
-- Returns 1 if the result counts; 0 if the line has one already, or Redis has lost that job or lines
-- before it, which begin anew.
local name, line, job_id, kind, file_id, text = unpack(ARGV)
local key = BATCH .. name
local batch = fields(key, 'tenant', 'next', 'kept_until_ms')

if not batch.tenant or tonumber(line) > tonumber(batch.next) then return 0 end
if (redis.call('HGET', key .. BATCH_OPEN, line) or '') ~= job_id then return 0 end
if batch.next == line then redis.call('HSET', key, 'next', line + 1) end
redis.call('HDEL', key .. BATCH_OPEN, line)
-- nobody reads along with a line, and its events take more room than all else of it
if job_id ~= '' then redis.call('DEL', JOB .. job_id .. EVENTS) end
if redis.call('SETBIT', key .. BATCH_SETTLED, line, 1) == 1 then return 0 end
extend(key .. BATCH_SETTLED, batch.kept_until_ms)
local pieces = FILE .. batch.tenant .. ':' .. file_id .. FILE_PIECES
redis.call('HSET', pieces, redis.call('HLEN', pieces), text)
extend(pieces, batch.kept_until_ms)
redis.call('HINCRBY', key, kind, 1)
redis.call('HINCRBY', key, kind .. '_bytes', string.len(text))
return 1
