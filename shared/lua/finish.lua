-- The owner, and only the owner, ends a job: result, status and event at once.
-- ARGV: id, owner token, terminal status, turn of the session ('' = none), turns kept,
--       figures to add (json), then row fields
local id, row = ARGV[1], JOB .. ARGV[1]
local f = redis.call('HMGET', row, 'status', 'owner', 'tenant')
if f[1] ~= 'running' or f[2] ~= ARGV[2] then
  count('jobs.late_finish_refused')
  return 0
end
if #ARGV > 6 then redis.call('HSET', row, unpack(ARGV, 7)) end
for figure, amount in pairs(cjson.decode(ARGV[6])) do
  redis.call('HINCRBYFLOAT', FIGURES, figure, amount)
end
if ARGV[4] ~= '' then
  local session = redis.call('HGET', row, 'session_id')
  local key = SESSION .. f[3] .. ':' .. session
  -- a session that was deleted meanwhile stays deleted
  if redis.call('EXISTS', key) == 1 then
    redis.call('RPUSH', key .. SESSION_TURNS, ARGV[4])
    redis.call('LTRIM', key .. SESSION_TURNS, -tonumber(ARGV[5]), -1)
    redis.call('HSET', key, 'worker', redis.call('HGET', row, 'worker'))
    touch_session(f[3], session, now_ms())
  end
end
redis.call('HINCRBY', row, 'commits', 1)
terminate(id, f[3], ARGV[3], now_ms())
return 1
