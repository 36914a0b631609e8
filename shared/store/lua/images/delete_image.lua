-- Delete an image, whoever needs it.
-- KEYS: image
-- Returns 1, or 0 when it is unknown.
local image = KEYS[1]

redis.call('DEL', image .. IMAGE_JOBS, image .. IMAGE_USERS)
return redis.call('DEL', image)
