-- Delete a file and what is in it.
-- ARGV: the names below
local tenant, file_id = unpack(ARGV)
local key = FILE .. tenant .. ':' .. file_id

redis.call('DEL', key, key .. FILE_PIECES)
redis.call('ZREM', TENANT_FILES .. tenant, file_id)
return 1
