-- Take back what put_image.lua has kept for a job that was not stored in the end.
-- KEYS: the images. ARGV: the name below
-- Returns 1.
local job_id = ARGV[1]

local now = now_ms()
for _, image in ipairs(KEYS) do
  if redis.call('HGET', image, 'maker') == job_id then
    release_image(image, PUT .. job_id, now)
  else
    -- it was there before, and its life goes on as it was
    redis.call('ZREM', image .. IMAGE_USERS, PUT .. job_id)
    settle_image(image, now)
  end
end
return 1
