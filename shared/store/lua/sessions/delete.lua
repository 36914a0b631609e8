-- Delete a conversation; its images are left for drop_images.lua, since there may be many.
-- KEYS: the conversation
-- ARGV: the names below; keep_ms is how long the names of its images are kept at most
-- Returns the key of what is left of its images ('' = none), or nil when it is unknown.
local session = KEYS[1]
local tenant, session_id, keep_ms = unpack(ARGV)

if redis.call('DEL', session) == 0 then return nil end
redis.call('DEL', session .. SESSION_TURNS)
redis.call('ZREM', TENANT_SESSIONS .. tenant, session_id)
if redis.call('EXISTS', session .. SESSION_IMAGES) == 0 then return '' end
-- under a name of its own: the same conversation may be begun again at once
local left = session .. SESSION_IMAGES .. '/' .. redis.call('INCR', SEQUENCE)
redis.call('RENAME', session .. SESSION_IMAGES, left)
redis.call('PEXPIRE', left, keep_ms)
return left
