-- Identify the caller, and charge its request or refuse it. One step, so that a revoked key stops
-- at once everywhere and 50 requests at the same time count as 50.
-- ARGV: the names below, then the scores of the queues as in standing.lua.
--       digest is the sha256 of the secret ('' = none); without_key says whether callers may come
--       without a key (yes, no, alone = while there is none at all) and belong to the tenant
--       anonymous; cost are the requests to charge; then the limits of callers that have none of
--       their own: requests and visual tokens a minute, unfinished and queued jobs (0 = none);
--       then a name of this call, which is the same when its answer was lost and it is sent again
-- Returns unknown or missing; or ok or limited, tenant, name, the four limits, what is used of
-- each, ms until this minute ends, ms to wait, and for a request that is charged what standing.lua
-- returns.
local digest, without_key, anonymous, cost, max_requests, max_tokens, max_in_flight, max_queued,
  call = unpack(ARGV, 1, 9)
local FIRST_SCORE = 10
-- longer than a call may be repeated
local CALL_MS = 60000

local now, tenant, name = now_ms(), anonymous, ''
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
  in_flight = tonumber(max_in_flight), queued = tonumber(max_queued)}
if tenant ~= anonymous then
  local own = fields(API_KEY .. tenant, 'name', 'requests', 'tokens', 'in_flight', 'queued')
  name = own.name
  for kind, limit in pairs(limits) do limits[kind] = tonumber(own[kind]) or limit end
end
local requests, tokens = window(tenant, 'requests', now), window(tenant, 'tokens', now)
local verdict, wait_ms = 'ok', 0
cost = tonumber(cost)
if limits.requests > 0 and cost > 0 then
  local charged = RATE .. 'charged:' .. call
  if redis.call('EXISTS', charged) == 1 then
    verdict = 'ok'
  elseif exceeds(requests, cost, limits.requests) then
    verdict, wait_ms = 'limited', wait_ms_for(requests, cost, limits.requests)
  else
    charge(requests, cost)
    redis.call('SET', charged, 1, 'PX', CALL_MS)
  end
end
local standing = false
if cost > 0 and verdict == 'ok' then
  standing = {places(tenant, {unpack(ARGV, FIRST_SCORE)}), redis.call('ZCARD', QUEUED),
    redis.call('ZCARD', LEASES)}
end
return {verdict, tenant, name, limits.requests, limits.tokens, limits.in_flight, limits.queued,
  requests.used, tokens.used, redis.call('SCARD', UNFINISHED .. tenant),
  redis.call('ZCARD', LINE .. tenant), requests.left_ms, wait_ms, standing}
