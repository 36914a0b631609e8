-- A courier takes due deliveries, never more of one endpoint than this may have under way.
-- ARGV: owner token, lease ms, most deliveries, cap of an endpoint, ms that an ended one is kept
-- Answers now, the ms at which the next endpoint needs a courier ('' = none), and the rows.
local now, taken, left = now_ms(), {}, tonumber(ARGV[3])
for _, endpoint in ipairs(redis.call('ZRANGEBYSCORE', DELIVERIES, '-inf', now, 'LIMIT', 0, left)) do
  local key = ENDPOINT .. endpoint
  local due, held = key .. ENDPOINT_DUE, key .. ENDPOINT_HELD
  redis.call('HSET', key, 'cap', ARGV[4])
  for _, delivery in ipairs(redis.call('ZRANGEBYSCORE', held, '-inf', now)) do
    redis.call('ZREM', held, delivery)
    redis.call('HSET', DELIVERY .. delivery, 'owner', '')
    redis.call('ZADD', due, now, delivery)
    count('deliveries.lost_lease')
  end
  local disabled = redis.call('HEXISTS', key, 'disabled_ms') == 1
  -- a disabled endpoint needs no courier to say so
  local room = disabled and left or math.min(left, room_of(key, now))
  for _, delivery in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, room)) do
    local row = DELIVERY .. delivery
    local f = redis.call('HMGET', row, 'url_id', 'forced')
    redis.call('ZREM', due, delivery)
    if not f[1] then
      count('deliveries.vanished')
    elseif not f[2] and redis.call('EXISTS', GONE_URL .. f[1]) == 1 then
      conclude(delivery, 'failed', 'url_gone', now, ARGV[5])
    elseif not f[2] and disabled then
      conclude(delivery, 'failed', 'endpoint_disabled', now, ARGV[5])
    else
      redis.call('HSET', row, 'owner', ARGV[1])
      redis.call('ZADD', held, now + tonumber(ARGV[2]), delivery)
      taken[#taken + 1] = redis.call('HGETALL', row)
      left = left - 1
    end
  end
  reschedule(endpoint, now)
end
local first = redis.call('ZRANGE', DELIVERIES, 0, 0, 'WITHSCORES')
return {now, first[2] or '', taken}
