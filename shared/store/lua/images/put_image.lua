-- Store an image, never shortening its life.
-- KEYS: image
-- ARGV: the names below, then names and values of fields. job_id is a job that needs it ('' = none):
--       with an owner one that this owner runs, else one that is about to be stored, until then.
--       place is `row` where the content is among the fields, else `blob`: its name, hash and size,
--       '' = what the image has already, and the name of a blob that it has lost
-- Returns 1, 0 when the job is no longer this owner's, or -1 without content; nothing is stored then.
local ttl_ms, job_id, owner, place, blob, blob_sum, blob_bytes, lost_blob = unpack(ARGV, 1, 8)
local FIRST_FIELD = 9

local key, now = KEYS[1], now_ms()
local job = owner ~= '' and fields(JOB .. job_id, 'status', 'owner', 'ttl_ms', 'expire_ms')
if job and (job.status ~= 'running' or job.owner ~= owner) then
  look_at_blob(blob, now)
  return 0
end
-- a life that an older version has given it is kept
if redis.call('EXISTS', key) == 1 then settle_image(key, now) end
local is_new = redis.call('EXISTS', key) == 0
if place == 'blob' and not take_blob(key, blob, blob_sum, blob_bytes, lost_blob, now) then return -1 end
if is_new then redis.call('HSET', key, 'maker', job_id) end
redis.call('HSET', key, unpack(ARGV, FIRST_FIELD))
redis.call('ZREM', ERASED_FILES, file_mark(key))
local tenant = string.match(key, '^[^:]*:[^:]*:(.*):[^:]*$')
local kept_until = now + kept_ms(tenant, ttl_ms)
if job then
  use_image(key, job_id, life_end(now, job.expire_ms, job.ttl_ms), now)
  return 1
end
local known_until = tonumber(redis.call('HGET', key, 'until') or 0)
redis.call('HSET', key, 'until', string.format('%.0f', math.max(known_until, kept_until)))
if job_id ~= '' then redis.call('ZADD', key .. IMAGE_USERS, kept_until, PUT .. job_id) end
settle_image(key, now)
return 1
