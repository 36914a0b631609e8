-- The life of images: each lives as long as somebody needs it, and no longer.
-- An image names those that need it, and until when: jobs, conversations, and requests that are about
-- to store a job (`put:` and the job's id).
local PUT = 'put:'
local SLACK_MS = 1000

-- The mark of an image or a document, from its key: stored_file_mark computes the same.
local function file_mark(file)
  return redis.sha1hex(string.match(file, '^[^:]*:[^:]*:(.*)$'))
end

-- Have the workers forget what they have kept of something with this mark.
local function note_erased(mark, now)
  local KEPT_MS, MOST = 86400000, 100000
  redis.call('ZADD', ERASED_FILES, now, mark)
  redis.call('ZREMRANGEBYSCORE', ERASED_FILES, '-inf', now - KEPT_MS)
  redis.call('ZREMRANGEBYRANK', ERASED_FILES, 0, -1 - MOST)
  redis.call('PEXPIRE', ERASED_FILES, KEPT_MS)
end

-- Delete an image with its lists, and have the workers forget what they have computed from it.
local function erase_image(image, now)
  redis.call('DEL', image .. IMAGE_JOBS, image .. IMAGE_USERS)
  note_erased(file_mark(image), now)
  blob_follows(image, now)
  return redis.call('DEL', image)
end

-- Whether somebody who needs an image is still there; what is only noted expires by its time.
local function exists_user(user)
  if string.sub(user, 1, #PUT) == PUT then return true end
  return redis.call('EXISTS', user) == 1 or redis.call('EXISTS', JOB .. user) == 1
end

-- Let an image live until the last of those that need it.
local function settle_image(image, now)
  if redis.call('EXISTS', image) == 0 then
    redis.call('DEL', image .. IMAGE_JOBS, image .. IMAGE_USERS)
    return
  end
  local users = image .. IMAGE_USERS
  redis.call('ZREMRANGEBYSCORE', users, '-inf', now)
  local last = redis.call('ZRANGE', users, -1, -1, 'WITHSCORES')
  local left_until = now + math.max(0, redis.call('PTTL', image))
  redis.call('HSETNX', image, 'until', string.format('%.0f', left_until))
  local row = fields(image, 'until', 'kept')
  local at = math.max(tonumber(row['until']), tonumber(last[2] or 0))
  -- an older version has given it a longer life, and we do not know for whom
  if left_until > tonumber(row.kept or 0) + SLACK_MS then at = math.max(at, left_until) end
  redis.call('HSET', image, 'kept', string.format('%.0f', at))
  for _, name in ipairs({image, image .. IMAGE_JOBS, users}) do redis.call('PEXPIREAT', name, at) end
  blob_follows(image, at + SLACK_MS)
end

-- Keep an image for somebody until `at_ms`.
local function hold_image(image, user, at_ms, now)
  redis.call('ZADD', image .. IMAGE_USERS, at_ms, user)
  settle_image(image, now)
end

-- Add a job to those that need an image; two of the others are checked, as in sweep.
local function use_image(image, job_id, at_ms, now)
  for _, other in ipairs(redis.call('SRANDMEMBER', image .. IMAGE_JOBS, 2)) do
    if redis.call('EXISTS', JOB .. other) == 0 then
      redis.call('SREM', image .. IMAGE_JOBS, other)
      redis.call('ZREM', image .. IMAGE_USERS, other)
    end
  end
  redis.call('SADD', image .. IMAGE_JOBS, job_id)
  redis.call('ZREM', image .. IMAGE_USERS, PUT .. job_id)
  hold_image(image, job_id, at_ms, now)
  redis.call('SADD', JOB .. job_id .. JOB_IMAGES, image)
  extend(JOB .. job_id .. JOB_IMAGES, at_ms)
end

-- Whether anybody needs an image. Those that are gone are forgotten, up to a bound.
local function is_image_needed(image)
  local MOST, ROUNDS = 100, 10
  if redis.call('HGET', image, 'uploaded') == '1' then return true end
  for _, user in ipairs(redis.call('ZRANGE', image .. IMAGE_USERS, 0, MOST - 1)) do
    if exists_user(user) then return true end
    redis.call('ZREM', image .. IMAGE_USERS, user)
  end
  if redis.call('EXISTS', image .. IMAGE_USERS) == 1 then return true end
  -- an older version has noted jobs here alone
  for _ = 1, ROUNDS do
    local others = redis.call('SRANDMEMBER', image .. IMAGE_JOBS, MOST)
    if #others == 0 then return false end
    for _, other in ipairs(others) do
      if redis.call('EXISTS', JOB .. other) == 1 then return true end
      redis.call('SREM', image .. IMAGE_JOBS, other)
    end
  end
  return true
end

-- Somebody needs an image no longer: it goes with the last of them, unless it was uploaded by itself
-- and belongs to its uploader.
local function release_image(image, user, now)
  redis.call('ZREM', image .. IMAGE_USERS, user)
  redis.call('SREM', image .. IMAGE_JOBS, user)
  if is_image_needed(image) then
    settle_image(image, now)
  else
    erase_image(image, now)
  end
end

-- A job has ended: its images stay as long as its row, from which it may be retried.
local function keep_images_of_ended(job_id, at_ms, now)
  local images = JOB .. job_id .. JOB_IMAGES
  for _, image in ipairs(redis.call('SMEMBERS', images)) do
    if redis.call('EXISTS', image) == 1 then hold_image(image, job_id, at_ms, now) end
  end
  redis.call('PEXPIREAT', images, at_ms)
end
