-- Send a test message to a URL. It has an endpoint of its own, so that no open breaker stops it.
-- ARGV: the names below; endpoint is that of the test, primary that of the URL's origin
local delivery_id, tenant, endpoint, origin, url, url_id, primary = unpack(ARGV)

-- the same call again: its first answer was lost on the way
if redis.call('EXISTS', DELIVERY .. delivery_id) == 1 then return 1 end
add_delivery(delivery_id, tenant, endpoint, origin, now_ms(), 'type', 'webhook.test', 'url', url,
  'url_id', url_id, 'primary', primary, 'forced', 1)
return 1
