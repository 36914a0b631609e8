-- Delete a file and what is in it.
-- ARGV: the names below
local tenant, file_id = unpack(ARGV)
local key = FILE .. tenant .. ':' .. file_id

blob_follows(key, now_ms())
redis.call('DEL', key, key .. FILE_PIECES, key .. FILE_ENDS)
redis.call('ZREM', TENANT_FILES .. tenant, file_id)
return 1
