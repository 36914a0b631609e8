-- Identify the caller, and charge its request or refuse it. One step, so that a revoked key stops
-- at once everywhere and 50 requests at the same time count as 50.
-- ARGV: the names below, then the scores of the queues as in standing.lua.
--       digest is the sha256 of the secret ('' = none); without_key says whether callers may come
--       without a key (yes, no, alone = while there is none at all) and belong to the tenant
--       anonymous; charged is what the request counts as: requests, reads, or '' (nothing); then
--       the limits of callers that have none of their own: requests and visual tokens a minute,
--       unfinished and queued jobs, reads a minute (0 = none); then a
--       name of this call, which is the same when its answer was lost and it is sent again
-- Returns unknown or missing; or ok or limited, tenant, name, its scopes ('' = the usual ones), its
-- retention in seconds ('' = none), the five limits, what is used of each, ms until this minute ends, ms to wait,
-- and for one that counts as a request what standing.lua returns.
local digest, without_key, anonymous, charged, max_requests, max_tokens, max_in_flight, max_queued,
  max_reads, call = unpack(ARGV, 1, 10)
local FIRST_SCORE = 11
-- longer than a call may be repeated
local CALL_MS = 60000

local now, tenant, name, scopes, retention = now_ms(), anonymous, '', '', ''
local open = without_key == 'yes'
  or (without_key == 'alone' and redis.call('EXISTS', API_KEYS) == 0)
if digest ~= '' then
  local key_id = redis.call('HGET', API_SECRET .. digest, 'key')
  -- clients that must send something are welcome where no key is asked for
  if not key_id and redis.call('EXISTS', API_KEYS) == 1 then return {'unknown'} end
  if not key_id and not open then return {'unknown'} end
  tenant = key_id or anonymous
elseif not open then
  return {'missing'}
end

local limits = {requests = tonumber(max_requests), tokens = tonumber(max_tokens),
  in_flight = tonumber(max_in_flight), queued = tonumber(max_queued), reads = tonumber(max_reads)}
if tenant ~= anonymous then
  local own = fields(API_KEY .. tenant, 'name', 'requests', 'tokens', 'in_flight', 'queued',
    'reads', 'scopes')
  name, scopes = own.name, own.scopes or ''
  retention = redis.call('HGET', RETENTION, tenant) or ''
  for kind, limit in pairs(limits) do limits[kind] = tonumber(own[kind]) or limit end
end
local usage = {}
for _, kind in ipairs({'requests', 'tokens', 'reads'}) do usage[kind] = window(tenant, kind, now) end
local verdict, wait_ms = 'ok', 0
if charged ~= '' and limits[charged] > 0 then
  local counted = RATE .. 'charged:' .. call
  if charged == 'requests' and redis.call('EXISTS', counted) == 1 then
    verdict = 'ok'
  elseif exceeds(usage[charged], 1, limits[charged]) then
    verdict, wait_ms = 'limited', wait_ms_for(usage[charged], 1, limits[charged])
  elseif charged == 'requests' then
    charge(usage[charged], 1)
    redis.call('SET', counted, 1, 'PX', CALL_MS)
  else
    -- a full Redis takes no count, but lets callers read
    pcall(charge, usage[charged], 1)
  end
end
local standing = false
if charged == 'requests' and verdict == 'ok' then
  standing = {places(tenant, {unpack(ARGV, FIRST_SCORE)}), redis.call('ZCARD', QUEUED_SINCE),
    running_of('')}
end
return {verdict, tenant, name, scopes, retention, limits.requests, limits.tokens,
  limits.in_flight, limits.queued, limits.reads, usage.requests.used, usage.tokens.used,
  redis.call('SCARD', UNFINISHED .. tenant), waiting_of(tenant), usage.reads.used, usage.requests.left_ms, wait_ms, standing}
