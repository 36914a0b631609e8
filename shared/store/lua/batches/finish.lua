-- The one way into a batch's terminal status: its files are there, and its end is told.
-- ARGV: the names below; kept_ms is how long batch and files are kept from now on
local name, owner, status, errors, kept_ms, delivery_id = unpack(ARGV)
local key = BATCH .. name
local batch = fields(key, 'owner', 'tenant', 'id', 'output_file', 'error_file', 'completed',
  'failed', 'completed_bytes', 'failed_bytes', 'webhook', 'webhook_endpoint', 'webhook_origin',
  'webhook_url_id', 'output_kept_ms')
local now = now_ms()

if batch.owner ~= owner then return 0 end

-- as long as its caller has asked, or as long as the batch
local files_until = now + tonumber(batch.output_kept_ms or kept_ms)

local function publish(file_id, kind, suffix)
  if tonumber(batch[kind]) == 0 then return end
  local file = FILE .. batch.tenant .. ':' .. file_id
  redis.call('HSET', file, 'id', file_id, 'created_ms', now, 'expires_ms', files_until,
    'purpose', 'batch_output', 'filename', batch.id .. suffix, 'bytes', batch[kind .. '_bytes'],
    'pieces', batch[kind])
  redis.call('PEXPIREAT', file, files_until)
  redis.call('PEXPIREAT', file .. FILE_PIECES, files_until)
  redis.call('ZADD', TENANT_FILES .. batch.tenant, now, file_id)
end

publish(batch.output_file, 'completed', '_output.jsonl')
publish(batch.error_file, 'failed', '_error.jsonl')
redis.call('HSET', key, 'status', status, 'ended_ms', now, 'errors', errors, 'owner', '')
redis.call('ZREM', BATCHES_DUE, name)
redis.call('DEL', key .. BATCH_OPEN, key .. BATCH_SETTLED)
redis.call('PEXPIREAT', key, now + kept_ms)
if batch.webhook and batch.webhook ~= '' then
  add_delivery(delivery_id, batch.tenant, batch.webhook_endpoint, batch.webhook_origin, now,
    'api', 'batches', 'about', batch.id, 'type', 'batch.' .. status, 'url', batch.webhook,
    'url_id', batch.webhook_url_id)
end
return 1
