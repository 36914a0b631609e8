-- Who asks, and may this request be served? One step, so that a revoked key stops at once
-- everywhere and 50 requests at the same time count as 50.
-- ARGV: sha256 of the secret ('' = none), callers without a key (yes, no, alone = while there is
--       no key at all), requests to charge, then the limits of whoever has none of its own:
--       requests and visual tokens a minute, unfinished and queued jobs (0 = none), then as in
--       foresee.lua the scores of the queues
-- Answers verdict (ok, unknown, missing, limited), tenant, name, the four limits, what is used of
-- each, ms until this minute ends, ms to wait, and for a request that is charged and served where
-- its job would stand, as foresee.lua tells it.
local now, tenant, name = now_ms(), 'anonymous', ''
local open = ARGV[2] == 'yes' or (ARGV[2] == 'alone' and redis.call('EXISTS', API_KEYS) == 0)
if ARGV[1] ~= '' then
  local key = redis.call('HGET', API_SECRET .. ARGV[1], 'key')
  -- clients that must send something are welcome where no key is asked for
  if not key and redis.call('EXISTS', API_KEYS) == 1 then return {'unknown'} end
  if not key and not open then return {'unknown'} end
  tenant = key or tenant
elseif not open then
  return {'missing'}
end
local limits = {tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])}
if tenant ~= 'anonymous' then
  local f = redis.call('HMGET', API_KEY .. tenant, 'name', 'requests', 'tokens', 'in_flight',
    'queued')
  name = f[1]
  for i = 1, 4 do limits[i] = tonumber(f[i + 1]) or limits[i] end
end
local requests, tokens = window(tenant, 'requests', now), window(tenant, 'tokens', now)
local cost, verdict, wait = tonumber(ARGV[3]), 'ok', 0
if limits[1] > 0 and cost > 0 then
  if requests.before * requests.left / WINDOW_MS + requests.count + cost > limits[1] then
    verdict, wait = 'limited', wait_for(requests, cost, limits[1])
  else
    charge(requests, cost)
  end
end
local stand = false
if cost > 0 and verdict == 'ok' then
  stand = {places(tenant, {unpack(ARGV, 8)}), redis.call('ZCARD', QUEUED),
    redis.call('ZCARD', LEASES)}
end
return {verdict, tenant, name, limits[1], limits[2], limits[3], limits[4], requests.used,
  tokens.used, redis.call('SCARD', UNFINISHED .. tenant), redis.call('ZCARD', LINE .. tenant),
  requests.left, wait, stand}
