-- Add to a conversation what its caller says was said before.
-- KEYS: the images that the turns show
-- ARGV: the names below, then the turns as JSON. maker is the request that has stored the images;
--       version is the row version of jobs whose worker must know such turns
-- Returns added; or missing, busy and the job that is answering, or image_missing and its index.
local tenant, session_id, maker, turns_max, version = unpack(ARGV, 1, 5)
local FIRST_TURN = 6
local session, now = SESSION .. tenant .. ':' .. session_id, now_ms()
local turns = session .. SESSION_TURNS

if redis.call('EXISTS', session) == 0 then return {'missing'} end
-- the same call again: its first answer was lost on the way
if redis.call('LPOS', turns, ARGV[FIRST_TURN]) then return {'added'} end
local busy = redis.call('HGET', session, 'busy')
-- what is added now would stand before an answer that is not there yet
if busy and redis.call('EXISTS', JOB .. busy) == 1 then return {'busy', busy} end
for i, image in ipairs(KEYS) do
  if redis.call('EXISTS', image) == 0 then return {'image_missing', i - 1} end
end
for i = FIRST_TURN, #ARGV do redis.call('RPUSH', turns, ARGV[i]) end
redis.call('LTRIM', turns, -tonumber(turns_max), -1)
redis.call('HSET', session, 'version', version)
if #KEYS > 0 then redis.call('HDEL', session, 'picture_erased') end
for _, image in ipairs(KEYS) do
  remember_image(session, image, now)
  redis.call('ZREM', image .. IMAGE_USERS, PUT .. maker)
  settle_image(image, now)
end
touch_session(tenant, session_id, now)
return {'added'}
