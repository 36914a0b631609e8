-- A line of a batch has its result: the one and only line of the output or of the errors.
-- ARGV: the names below; kind is completed or failed, file_id the file that the text belongs to
-- Returns 1 if the result counts, 0 if the line has one already.
local name, line, kind, file_id, text = unpack(ARGV)
local key = BATCH .. name
local batch = fields(key, 'tenant', 'next', 'kept_until_ms')

if not batch.tenant then return 0 end
local job_id = redis.call('HGET', key .. BATCH_OPEN, line)
redis.call('HDEL', key .. BATCH_OPEN, line)
-- nobody reads along with a line, and its events take more room than all else of it
if job_id then redis.call('DEL', JOB .. job_id .. EVENTS) end
if redis.call('SETBIT', key .. BATCH_SETTLED, line, 1) == 1 then return 0 end
extend(key .. BATCH_SETTLED, batch.kept_until_ms)
local pieces = FILE .. batch.tenant .. ':' .. file_id .. FILE_PIECES
redis.call('HSET', pieces, redis.call('HLEN', pieces), text)
extend(pieces, batch.kept_until_ms)
redis.call('HINCRBY', key, kind, 1)
redis.call('HINCRBY', key, kind .. '_bytes', string.len(text))
if tonumber(batch.next) <= tonumber(line) then redis.call('HSET', key, 'next', line + 1) end
return 1
