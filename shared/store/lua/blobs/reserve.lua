-- Note a blob that is about to be written for a row.
-- ARGV: the names below; within grace_ms the row must have it
-- Returns 1.
local name, row, grace_ms = unpack(ARGV)

redis.call('HSET', BLOB_ROWS, name, row)
redis.call('ZADD', BLOBS, now_ms() + grace_ms, name)
return 1
