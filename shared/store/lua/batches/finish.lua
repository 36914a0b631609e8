-- The one way into a batch's terminal status: its files are there, and its end is told.
-- ARGV: the names below; most_ms is how long batch and files are kept from now on. Then for the output and
--       for the errors: the blob that has the results ('' = they are in Redis), its sum, where each result
--       ends, and how many they are
-- Returns 1; 0 when it is another owner's; 2 when a blob lacks results, or is being deleted; 3 when
-- lines have no result, which Redis has lost.
local name, owner, status, errors, most_ms, delivery_id = unpack(ARGV, 1, 6)
local OUTPUT, ERRORS = 7, 11
local key = BATCH .. name
local batch = fields(key, 'owner', 'tenant', 'id', 'output_file', 'error_file', 'completed',
  'failed', 'completed_bytes', 'failed_bytes', 'webhook', 'webhook_endpoint', 'webhook_origin',
  'webhook_url_id', 'output_kept_ms', 'total')
local now = now_ms()

if batch.owner ~= owner then return 0 end

local function is_stale(kind, first)
  local blob, pieces = ARGV[first], ARGV[first + 3]
  if blob == '' then return false end
  return tonumber(batch[kind]) ~= tonumber(pieces) or not redis.call('ZSCORE', BLOBS, blob)
end

local function lacks_results()
  if status == 'failed' then return false end
  if redis.call('EXISTS', key .. BATCH_OPEN) == 1 then return true end
  local total = tonumber(batch.total)
  return status ~= 'cancelled' and (total == 0 or batch.completed + batch.failed < total)
end

if lacks_results() then return 3 end
if is_stale('completed', OUTPUT) or is_stale('failed', ERRORS) then return 2 end

-- as long as its caller has asked, or as long as the batch; a key may keep less
local files_until = now + kept_ms(batch.tenant, tonumber(batch.output_kept_ms or most_ms))

local function keep_outside(file, blob, sum, ends)
  redis.call('HSET', file, 'blob', blob, 'blob_sum', sum)
  redis.call('SET', file .. FILE_ENDS, ends, 'PXAT', files_until)
  redis.call('DEL', file .. FILE_PIECES)
  blob_follows(file, files_until + 1000)
end

local function publish(file_id, kind, suffix, first)
  if tonumber(batch[kind]) == 0 then return end
  local file = FILE .. batch.tenant .. ':' .. file_id
  redis.call('HSET', file, 'id', file_id, 'created_ms', now, 'expires_ms', files_until,
    'purpose', 'batch_output', 'filename', batch.id .. suffix, 'bytes', batch[kind .. '_bytes'],
    'pieces', batch[kind])
  redis.call('PEXPIREAT', file, files_until)
  if ARGV[first] ~= '' then
    keep_outside(file, unpack(ARGV, first, first + 2))
  else
    redis.call('PEXPIREAT', file .. FILE_PIECES, files_until)
  end
  redis.call('ZADD', TENANT_FILES .. batch.tenant, now, file_id)
end

publish(batch.output_file, 'completed', '_output.jsonl', OUTPUT)
publish(batch.error_file, 'failed', '_error.jsonl', ERRORS)
redis.call('HSET', key, 'status', status, 'ended_ms', now, 'errors', errors, 'owner', '')
redis.call('ZREM', BATCHES_DUE, name)
redis.call('DEL', key .. BATCH_OPEN, key .. BATCH_SETTLED)
redis.call('PEXPIREAT', key, now + kept_ms(batch.tenant, most_ms))
if batch.webhook and batch.webhook ~= '' then
  add_delivery(delivery_id, batch.tenant, batch.webhook_endpoint, batch.webhook_origin, now,
    'api', 'batches', 'about', batch.id, 'type', 'batch.' .. status, 'url', batch.webhook,
    'url_id', batch.webhook_url_id)
end
return 1
