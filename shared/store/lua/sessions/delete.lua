-- Delete a conversation; its images are left for drop_images.lua, since there may be many.
-- KEYS: the conversation, and the name that is left of its images
-- ARGV: the names below; keep_ms is how long the names of its images are kept at most
-- Returns 1, or 0 when it is unknown.
local session, left = KEYS[1], KEYS[2]
local tenant, session_id, keep_ms = unpack(ARGV)

if redis.call('DEL', session) == 0 then return 0 end
redis.call('DEL', session .. SESSION_TURNS)
redis.call('ZREM', TENANT_SESSIONS .. tenant, session_id)
if redis.call('EXISTS', session .. SESSION_IMAGES) == 0 then return 1 end
redis.call('RENAME', session .. SESSION_IMAGES, left)
redis.call('PEXPIRE', left, keep_ms)
return 1
