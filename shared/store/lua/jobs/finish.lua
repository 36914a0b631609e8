-- End a job for its owner, and only for its owner: result, status and event at once.
-- ARGV: the names below, then names and values of row fields; status is a terminal one,
--       has_text '1' = text is all that the job's stream says, '' = there is no answer;
--       turn_json '' = none for the session, metrics_json adds to the job metrics
-- Returns 1, also when it is sent again; 0 when the job is no longer this owner's.
local job_id, owner, status, has_text, text, turn_json, turns_max, metrics_json = unpack(ARGV, 1, 8)
local FIRST_FIELD = 9
local REMEMBERED = 10 -- answers of a kind after which the weight of the latest stays the same
local RATIO_STEP, RATIO_STEPS = 1.1, 30 -- as in forecasts.py
local RATIOS_KEPT = 200

local function average(key, kind, value, count)
  local old = tonumber(redis.call('HGET', key, kind) or value)
  redis.call('HSET', key, kind, string.format('%.2f', old + (value - old) / count))
end

local function learn_answer(kind, usage)
  local tokens = usage.completion_tokens
  local count = tonumber(redis.call('HGET', ANSWERS_COUNTED, kind) or 0)
  -- an older version has counted none
  if count == 0 and redis.call('HEXISTS', ANSWERS, kind) == 1 then count = REMEMBERED end
  count = math.min(REMEMBERED, count + 1)
  redis.call('HSET', ANSWERS_COUNTED, kind, count)
  average(ANSWERS, kind, tokens, count)
  average(ANSWER_STEPS, kind, tokens - (usage.accepted_tokens or 0), count)
end

local function remember_ratio(key, ratio)
  redis.call('LPUSH', key, ratio)
  redis.call('LTRIM', key, 0, RATIOS_KEPT - 1)
end

-- Learn from a success: how long answers are, and how true the prediction was.
local function learn(key, now)
  local job = fields(key, 'predicted_ms', 'created_ms', 'attempt', 'usage', 'kind', 'phase',
    'not_before_ms', 'window_ms', 'model')
  -- a long job's answer is that of many tiles
  if not job.kind or job.kind == '' or job.phase then return end
  local usage = job.usage and cjson.decode(job.usage) or {}
  if usage.completion_tokens then
    learn_answer(job.kind, usage)
    -- models differ in what they say
    if (job.model or '') ~= '' then learn_answer(job.kind .. '\n' .. job.model, usage) end
  end
  local predicted = tonumber(job.predicted_ms or 0) or 0
  local actual = math.max(1, now - tonumber(job.created_ms))
  -- waiting for a time of day was no part of the prediction
  if job.not_before_ms or job.window_ms then return end
  if predicted <= 0 or job.attempt ~= '1' then return end
  local step = math.floor(math.log(actual / predicted) / math.log(RATIO_STEP) + 0.5)
  step = math.max(-RATIO_STEPS, math.min(RATIO_STEPS, step))
  redis.call('HINCRBY', PREDICTIONS, 'step:' .. string.format('%d', step), 1)
  redis.call('HINCRBY', PREDICTIONS, 'count', 1)
  redis.call('HINCRBY', PREDICTIONS, 'predicted_ms', predicted)
  redis.call('HINCRBY', PREDICTIONS, 'actual_ms', actual)
  local ratio = string.format('%.3f', actual / predicted)
  remember_ratio(PREDICTIONS_RECENT, ratio)
  -- a model that is slower than it says makes no other one's jobs late
  if (job.model or '') ~= '' then remember_ratio(pooled(PREDICTIONS_RECENT, job.model), ratio) end
end

local key = JOB .. job_id
local job = fields(key, 'status', 'owner', 'tenant', 'session_id', 'session_generation',
  'created_ms', 'worker', 'finished_by')
if job.finished_by == owner then return 1 end
if job.status ~= 'running' or job.owner ~= owner then
  count('jobs.late_finish_refused')
  return 0
end
if #ARGV >= FIRST_FIELD then redis.call('HSET', key, unpack(ARGV, FIRST_FIELD)) end
for metric, amount in pairs(cjson.decode(metrics_json)) do
  redis.call('HINCRBYFLOAT', FIGURES, metric, amount)
end
if turn_json ~= '' then
  local session = SESSION .. job.tenant .. ':' .. job.session_id
  -- a session that was deleted meanwhile stays deleted, also if it was begun anew
  if is_same_session(session, job) then
    redis.call('RPUSH', session .. SESSION_TURNS, turn_json)
    redis.call('LTRIM', session .. SESSION_TURNS, -tonumber(turns_max), -1)
    redis.call('HSET', session, 'worker', job.worker)
    if #(cjson.decode(turn_json).images or {}) > 0 then
      redis.call('HDEL', session, 'picture_erased')
    end
    for _, image in ipairs(redis.call('SMEMBERS', key .. JOB_IMAGES)) do
      if redis.call('EXISTS', image) == 1 then remember_image(session, image, now_ms()) end
    end
    touch_session(job.tenant, job.session_id, now_ms())
  end
end
redis.call('HINCRBY', key, 'commits', 1)
if has_text == '1' then close_stream(job_id, text) end
local now = now_ms()
if status == 'succeeded' then learn(key, now) end
terminate(job_id, job.tenant, status, now)
-- last: a script that fails half-way has not finished the job
redis.call('HSET', key, 'finished_by', owner)
return 1
