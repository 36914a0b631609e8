-- Sliding windows: what was used in this minute, and the share of the last one that still counts.
-- One script decides and charges, so that no number of gateways lets one request too many through.
local WINDOW_MS = 60000

local function window(tenant, kind, now)
  local key = RATE .. kind .. ':' .. tenant
  local f = redis.call('HMGET', key, 'number', 'count', 'before')
  local number, count, before = math.floor(now / WINDOW_MS), 0, 0
  if tonumber(f[1]) == number then
    count, before = tonumber(f[2]), tonumber(f[3])
  elseif tonumber(f[1]) == number - 1 then
    before = tonumber(f[2])
  end
  local left = WINDOW_MS - now % WINDOW_MS
  return {key = key, number = number, count = count, before = before, left = left,
    used = math.ceil(before * left / WINDOW_MS + count)}
end

local function charge(w, cost)
  w.count, w.used = w.count + cost, w.used + cost
  redis.call('HSET', w.key, 'number', w.number, 'count', w.count, 'before', w.before)
  redis.call('PEXPIRE', w.key, 2 * WINDOW_MS)
end

-- In how many ms so much will be free; a cost above the limit never will.
local function wait_for(w, cost, limit)
  local room = limit - w.count - cost
  if room >= 0 then return math.ceil(w.left - room / w.before * WINDOW_MS) end
  room = math.max(0, limit - cost)
  return math.ceil(w.left + WINDOW_MS - room / w.count * WINDOW_MS)
end
