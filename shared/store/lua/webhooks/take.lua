-- Give due deliveries to a courier, never more of one endpoint than may be under way at once.
-- ARGV: the names below; most bounds the deliveries, cap those of an endpoint that are under way;
--       an ended delivery is kept for keep_ms
-- Returns now, the ms at which the next endpoint needs a courier ('' = none), and the rows.
local owner, lease_ms, most, cap, keep_ms = unpack(ARGV)

lease_ms = tonumber(lease_ms)
local now, rows, left = now_ms(), {}, tonumber(most)

local function reclaim_lost(due, held)
  for _, delivery_id in ipairs(redis.call('ZRANGEBYSCORE', held, '-inf', now, 'LIMIT', 0, most)) do
    redis.call('ZREM', held, delivery_id)
    redis.call('HSET', DELIVERY .. delivery_id, 'owner', '')
    redis.call('ZADD', due, now, delivery_id)
    count('deliveries.lost_lease')
  end
end

-- Redis' clock was set back, or this is a replica whose clock is behind: shorten what is said to
-- last longer than it was made to, so that nothing waits for the clock to catch up.
local MOST_SHORTENED = 20
local function shorten_waits(endpoint)
  local key, changed = ENDPOINT .. endpoint, false
  local due, held = key .. ENDPOINT_DUE, key .. ENDPOINT_HELD
  local function bound(zset, delivery_id, score, at)
    if tonumber(score) <= at then return end
    redis.call('ZADD', zset, at, delivery_id)
    changed = true
  end
  local last = redis.call('ZRANGE', held, -MOST_SHORTENED, -1, 'WITHSCORES')
  for i = 1, #last, 2 do bound(held, last[i], last[i + 1], now + lease_ms) end
  local first = redis.call('ZRANGE', due, 0, MOST_SHORTENED - 1, 'WITHSCORES')
  for i = 1, #first, 2 do
    local delivery = fields(DELIVERY .. first[i], 'delay_ms', 'tries')
    -- one that an older version scheduled does not say how long it was to wait
    local delay_ms = delivery.delay_ms or (delivery.tries == '0' and 0)
    if delay_ms then bound(due, first[i], first[i + 1], now + tonumber(delay_ms)) end
  end
  local open_until = tonumber(redis.call('HGET', key, 'open_until') or 0)
  if open_until > now + MAX_BREAKER_MS then
    redis.call('HSET', key, 'open_until', string.format('%.0f', now + MAX_BREAKER_MS))
    changed = true
  end
  if changed then reschedule(endpoint, now) end
end

-- a part of those that wait, another one each second
local LOOKED_AT = 100
local after_now = '(' .. string.format('%.0f', now)
local waiting = redis.call('ZCOUNT', DELIVERIES, after_now, '+inf')
local skipped = math.floor(now / 1000) * LOOKED_AT % math.max(1, waiting)
for _, endpoint in ipairs(redis.call('ZRANGEBYSCORE', DELIVERIES, after_now, '+inf', 'LIMIT', skipped,
      LOOKED_AT)) do
  shorten_waits(endpoint)
end
for _, endpoint in ipairs(redis.call('ZRANGEBYSCORE', DELIVERIES, '-inf', now, 'LIMIT', 0, left)) do
  local endpoint_key = ENDPOINT .. endpoint
  local due, held = endpoint_key .. ENDPOINT_DUE, endpoint_key .. ENDPOINT_HELD
  redis.call('HSET', endpoint_key, 'cap', cap)
  reclaim_lost(due, held)
  local disabled = redis.call('HEXISTS', endpoint_key, 'disabled_ms') == 1
  -- the deliveries of a disabled endpoint fail at once, so its cap does not matter
  local room = disabled and left or math.min(left, free_slots(endpoint_key, now))
  for _, delivery_id in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, room)) do
    local key = DELIVERY .. delivery_id
    local delivery = fields(key, 'url_id', 'forced')
    redis.call('ZREM', due, delivery_id)
    if not delivery.url_id then
      count('deliveries.vanished')
    elseif not delivery.forced and redis.call('EXISTS', GONE_URL .. delivery.url_id) == 1 then
      end_delivery(delivery_id, 'failed', 'url_gone', now, keep_ms)
    elseif not delivery.forced and disabled then
      end_delivery(delivery_id, 'failed', 'endpoint_disabled', now, keep_ms)
    else
      redis.call('HSET', key, 'owner', owner)
      redis.call('ZADD', held, now + lease_ms, delivery_id)
      rows[#rows + 1] = redis.call('HGETALL', key)
      left = left - 1
    end
  end
  reschedule(endpoint, now)
end
local next_endpoint = redis.call('ZRANGE', DELIVERIES, 0, 0, 'WITHSCORES')
return {now, next_endpoint[2] or '', rows}
