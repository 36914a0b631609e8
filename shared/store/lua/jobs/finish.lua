-- The owner, and only the owner, ends a job: result, status and event at once.
-- ARGV: id, owner token, terminal status, turn of the session ('' = none), turns kept,
--       figures to add (json), then row fields

-- Learn from a success: how long answers are, and how true the prediction was.
local function learn(row, now)
  local f = redis.call('HMGET', row, 'predicted_ms', 'created_ms', 'attempt', 'usage', 'kind', 'phase')
  -- a long job's answer is that of many tiles
  if not f[5] or f[5] == '' or f[6] then return end
  local tokens = f[4] and cjson.decode(f[4]).completion_tokens
  if tokens then
    local old = tonumber(redis.call('HGET', ANSWERS, f[5]) or tokens)
    redis.call('HSET', ANSWERS, f[5], string.format('%.2f', old + 0.1 * (tokens - old)))
  end
  local predicted, actual = tonumber(f[1] or 0) or 0, math.max(1, now - tonumber(f[2]))
  if predicted <= 0 or f[3] ~= '1' then return end
  local step = math.floor(math.log(actual / predicted) / math.log(1.1) + 0.5)
  step = math.max(-30, math.min(30, step))
  redis.call('HINCRBY', PREDICTIONS, 'step:' .. string.format('%d', step), 1)
  redis.call('HINCRBY', PREDICTIONS, 'count', 1)
  redis.call('HINCRBY', PREDICTIONS, 'predicted_ms', predicted)
  redis.call('HINCRBY', PREDICTIONS, 'actual_ms', actual)
  redis.call('LPUSH', PREDICTIONS_RECENT, string.format('%.3f', actual / predicted))
  redis.call('LTRIM', PREDICTIONS_RECENT, 0, 199)
end

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
local now = now_ms()
if ARGV[3] == 'succeeded' then learn(row, now) end
terminate(id, f[3], ARGV[3], now)
return 1
