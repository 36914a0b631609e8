-- The owner of a long job has cut its image: the row waits without a worker while its children,
-- one for each tile, go through the queue.
-- KEYS: the images of the tiles
-- ARGV: id, owner token, room for tiles, JSON of all further row fields,
--       then of each tile child id, input and whether it speaks while it is read ('1' or '');
--       with nothing to do '', its outcome and ''
-- Answers nil when the job is no longer this owner's, else what to ring for.
local id, row, tiles = ARGV[1], JOB .. ARGV[1], JOB .. ARGV[1] .. JOB_TILES
local f = redis.call('HMGET', row, 'status', 'owner', 'tenant', 'cancel', 'ttl_ms', 'expire_ms',
  'queue', 'trace', 'session_id', 'started_ms', 'queued_ms', 'version', 'max_attempts', 'busy_ms')
if f[1] ~= 'running' or f[2] ~= ARGV[2] then return nil end
local now = now_ms()
if f[4] == '1' then
  terminate(id, f[3], 'canceled', now)
  return {}
end
for name, value in pairs(cjson.decode(ARGV[4])) do redis.call('HSET', row, name, value) end
local total, done = (#ARGV - 4) / 3, 0
-- what the job was predicted to cost is now its tiles' cost
local share = math.floor(tonumber(f[14] or 0) / total)
for index = 0, total - 1 do
  local child, value, live = unpack(ARGV, 5 + 3 * index, 7 + 3 * index)
  if child == '' then
    done = done + 1
    redis.call('HSET', tiles, 'out:' .. index, value)
  else
    redis.call('HSET', tiles, 'id:' .. index, child)
    redis.call('HSET', JOB .. child, 'id', child, 'tenant', f[3], 'status', 'held', 'owner', '',
      'parent', id, 'tile', index, 'live', live, 'input', value, 'queue', f[7], 'attempt', 0,
      'max_attempts', f[13], 'lost', 0, 'version', f[12], 'created_ms', now, 'queued_ms', now,
      'expires_ms', f[6], 'expire_ms', f[6], 'ttl_ms', f[5], 'trace', f[8] or '',
      'busy_ms', share)
  end
end
redis.call('HSET', row, 'busy_ms', 0, 'owner', '', 'phase', 'tiles', 'tiles_total', total, 'tiles_done', done,
  'tile_percent', 100 * done, 'tile_next', 0, 'tile_told', 0, 'split_ms', now,
  'waited_ms', tonumber(f[10]) - tonumber(f[11]))
redis.call('ZREM', LEASES, id)
local kept_until = now + 2 * tonumber(f[5])
local session = f[9] and f[9] ~= '' and SESSION .. f[3] .. ':' .. f[9]
for _, image in ipairs(KEYS) do
  use_image(image, id)
  extend(image, kept_until)
  extend(image .. IMAGE_JOBS, kept_until)
  if session and redis.call('EXISTS', session) == 1 then
    redis.call('SADD', session .. SESSION_IMAGES, image)
  end
end
redis.call('SET', TILES_ROOM, ARGV[3])
count('jobs.split')
tell_progress(id, now, true)
if done == total then return {queue_merge(id, now)} end
redis.call('ZADD', LONG, redis.call('INCR', SEQUENCE), id)
return schedule_tiles(now)
