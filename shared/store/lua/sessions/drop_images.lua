-- Release some of the images of a deleted conversation.
-- KEYS: what is left of its images, the conversation. ARGV: the name below
-- Returns how many were released.
local left, session = KEYS[1], KEYS[2]
local most = ARGV[1]

local images = redis.call('SPOP', left, most)
for _, image in ipairs(images) do
  -- a conversation that was begun anew under this id may show it again
  if redis.call('SISMEMBER', session .. SESSION_IMAGES, image) == 0 then
    release_image(image, session, now_ms())
  end
end
return #images
