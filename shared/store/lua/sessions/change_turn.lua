-- Put what is left of a turn into its place, or nothing.
-- KEYS: what the turn shows, images and documents
-- ARGV: the names below; turn is the JSON that stands there, left '' = nothing;
--       version is the row version of jobs whose worker must know such turns
-- Returns 1, or 0 where the turn no longer stands there.
local tenant, session_id, turn, left, version = unpack(ARGV)
local session = SESSION .. tenant .. ':' .. session_id
local turns = session .. SESSION_TURNS

local place = redis.call('LPOS', turns, turn)
if not place then return 0 end
if left == '' then
  redis.call('LREM', turns, 1, turn)
else
  redis.call('LSET', turns, place, left)
  redis.call('HSET', session, 'version', version)
end
release_unshown(session, KEYS, now_ms())
return 1
