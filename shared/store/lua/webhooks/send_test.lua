-- A caller tries a URL. It has a queue of its own, so that no breaker stands in its way.
-- ARGV: id, tenant, endpoint of the try, origin, url, url id, endpoint of that origin
post(ARGV[1], ARGV[2], ARGV[3], ARGV[4], now_ms(), 'type', 'webhook.test', 'url', ARGV[5],
  'url_id', ARGV[6], 'primary', ARGV[7], 'forced', 1)
return 1
