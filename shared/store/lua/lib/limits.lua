-- Sliding windows: what was used in this minute, and the share of the last one that still counts.
-- One script decides and charges, so that no number of gateways lets one request too many through.
local WINDOW_MS = 60000

-- Return what a tenant has used of a kind (requests, tokens) and the ms until this minute ends.
local function window(tenant, kind, now)
  local key = RATE .. kind .. ':' .. tenant
  local stored = fields(key, 'number', 'count', 'before')
  local number, used_now, before = math.floor(now / WINDOW_MS), 0, 0
  if tonumber(stored.number) == number then
    used_now, before = tonumber(stored.count), tonumber(stored.before)
  elseif tonumber(stored.number) == number - 1 then
    before = tonumber(stored.count)
  end
  local left_ms = WINDOW_MS - now % WINDOW_MS
  return {key = key, number = number, count = used_now, before = before, left_ms = left_ms,
    used = math.ceil(before * left_ms / WINDOW_MS + used_now)}
end

local function exceeds(usage, cost, limit)
  return usage.before * usage.left_ms / WINDOW_MS + usage.count + cost > limit
end

local function charge(usage, cost)
  usage.count, usage.used = usage.count + cost, usage.used + cost
  redis.call('HSET', usage.key, 'number', usage.number, 'count', usage.count,
    'before', usage.before)
  redis.call('PEXPIRE', usage.key, 2 * WINDOW_MS)
end

-- In how many ms so much will be free; a cost above the limit never will.
local function wait_ms_for(usage, cost, limit)
  local room = limit - usage.count - cost
  if room >= 0 then return math.ceil(usage.left_ms - room / usage.before * WINDOW_MS) end
  room = math.max(0, limit - cost)
  return math.ceil(usage.left_ms + WINDOW_MS - room / usage.count * WINDOW_MS)
end
