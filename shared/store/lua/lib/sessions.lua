-- Conversations: their turns, their images, and the job that is answering.

-- Whether this is still the conversation that a job belongs to: one that was deleted and begun again
-- under the same id is another one. Rows of an older version name no generation.
local function is_same_session(session, job)
  local stored = fields(session, 'generation', 'created_ms')
  if not stored.created_ms then return false end
  if job.session_generation and job.session_generation ~= '' then
    return stored.generation == job.session_generation
  end
  return tonumber(stored.created_ms) <= tonumber(job.created_ms)
end

-- Keep an image as long as a conversation that shows it.
local function remember_image(session, image, now)
  local stored = fields(session, 'ttl_ms', 'images_until')
  if not stored.ttl_ms then return end
  redis.call('SADD', session .. SESSION_IMAGES, image)
  local at_ms = math.max(now + tonumber(stored.ttl_ms), tonumber(stored.images_until or 0))
  hold_image(image, session, at_ms, now)
  extend(session .. SESSION_IMAGES, now + math.max(0, redis.call('PTTL', session)))
end

-- Let all images of a conversation live on. Where they are many, this is done ahead of time: its cost
-- comes once in a quarter of the conversation's life and not with each turn.
local function keep_session_images(session, now, ttl_ms)
  local MANY = 16
  local kept_until = tonumber(redis.call('HGET', session, 'images_until') or 0)
  local are_many = redis.call('SCARD', session .. SESSION_IMAGES) > MANY
  if are_many and kept_until >= now + ttl_ms then return end
  local at_ms = now + ttl_ms + math.floor(ttl_ms / 4)
  for _, image in ipairs(redis.call('SMEMBERS', session .. SESSION_IMAGES)) do
    if redis.call('EXISTS', image) == 1 then
      hold_image(image, session, at_ms, now)
    else
      redis.call('SREM', session .. SESSION_IMAGES, image)
    end
  end
  redis.call('HSET', session, 'images_until', string.format('%.0f', at_ms))
end

-- Note the use of a conversation, and let all that its next turn needs live as long as it does.
local function touch_session(tenant, session_id, now)
  local key = SESSION .. tenant .. ':' .. session_id
  local ttl_ms = tonumber(redis.call('HGET', key, 'ttl_ms'))
  if not ttl_ms then return end
  redis.call('HSET', key, 'updated_ms', now)
  redis.call('ZADD', TENANT_SESSIONS .. tenant, now, session_id)
  sweep(TENANT_SESSIONS .. tenant, SESSION .. tenant .. ':', now)
  keep_session_images(key, now, ttl_ms)
  for _, name in ipairs({key, key .. SESSION_TURNS, key .. SESSION_IMAGES,
    TENANT_SESSIONS .. tenant}) do extend(name, now + ttl_ms) end
end

local function leave_session(job_id, tenant, session_id)
  local key = SESSION .. tenant .. ':' .. session_id
  if redis.call('HGET', key, 'busy') == job_id then redis.call('HDEL', key, 'busy') end
end

-- Release those of some images and documents that no turn of a conversation shows any longer.
local function release_unshown(session, images, now)
  local shown = {}
  for _, text in ipairs(redis.call('LRANGE', session .. SESSION_TURNS, 0, -1)) do
    local turn = cjson.decode(text)
    for _, id in ipairs(turn.images or {}) do shown[id] = true end
    for _, id in ipairs(turn.tiles or {}) do shown[id] = true end
    for _, tile in ipairs(turn.parts or {}) do shown[tile.id] = true end
    -- JSON's null is no table
    if type(turn.document) == 'table' then shown[turn.document.id] = true end
  end
  for _, image in ipairs(images) do
    local digest = string.match(image, '[^:]*$')
    if not shown['img_' .. digest] and not shown['doc_' .. digest] then
      redis.call('SREM', session .. SESSION_IMAGES, image)
      release_image(image, session, now)
    end
  end
end

-- Take a job's turns out of a conversation, and those images that no other turn shows.
local function forget_turns(job_id, session, images, now)
  for _, text in ipairs(redis.call('LRANGE', session .. SESSION_TURNS, 0, -1)) do
    local turn = cjson.decode(text)
    if turn.job_id == job_id then
      redis.call('LREM', session .. SESSION_TURNS, 0, text)
      -- a question that follows must not be answered without the picture that it is about
      if #(turn.images or {}) > 0 then redis.call('HSET', session, 'picture_erased', 1) end
    end
  end
  release_unshown(session, images, now)
end
