-- Have those of some blobs deleted that belong to no row.
-- ARGV: names of blobs that are older than any that is still to get its row
-- Returns how many they are.
local count, now = 0, now_ms()
for _, name in ipairs(ARGV) do
  if redis.call('HSETNX', BLOB_ROWS, name, '') == 1 then
    redis.call('ZADD', BLOBS_DOOMED, now, name)
    count = count + 1
  end
end
return count
