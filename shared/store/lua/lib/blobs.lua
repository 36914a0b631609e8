-- Contents of rows that lie outside Redis: a row names its blob, and a list names the row of each blob,
-- so that one without a row is found without looking through the store.

-- Look after a blob at `at_ms`.
local function look_at_blob(name, at_ms)
  redis.call('ZADD', BLOBS, 'XX', at_ms, name)
end

-- A row that has a blob lives until `at_ms`, or is gone.
local function blob_follows(row, at_ms)
  local name = redis.call('HGET', row, 'blob')
  if name then look_at_blob(name, at_ms) end
end

-- Give a row the blob that was written for it, unless it has its content already; `lost` is one that
-- it names and that is gone. An empty name asks for the content that it has.
-- Returns whether it has its content then.
local function take_blob(row, name, sum, bytes, lost, now)
  local known = redis.call('HGET', row, 'blob')
  local in_row = redis.call('HEXISTS', row, 'png') == 1 or redis.call('HEXISTS', row, 'file') == 1
  if in_row or (known and known ~= lost and known ~= name) then
    look_at_blob(name, now)
    return true
  end
  -- one that is no longer in the list is being deleted
  if name == '' or not redis.call('ZSCORE', BLOBS, name) then return false end
  if known and known ~= name then look_at_blob(known, now) end
  redis.call('HSET', row, 'blob', name, 'blob_sum', sum, 'bytes', bytes)
  return true
end
