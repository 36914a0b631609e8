-- Tell the models apart for which jobs wait or run.
-- ARGV: the most rows to look at where jobs of several models wait or run together
-- Returns of each model its name ('' = not known), the waiting and the running jobs, and the ms that
-- the oldest of them waits.
local most = tonumber(ARGV[1])

local now, names, models = now_ms(), {}, {}
local function model_of(job_id)
  local name = redis.call('HGET', JOB .. job_id, 'model') or ''
  if not models[name] then
    names[#names + 1] = name
    models[name] = {queued = 0, running = 0, oldest = now}
  end
  return models[name]
end

-- Count the rows of a set under a name, each for its model; a longer set than may be looked at is
-- taken to go on as it begins.
local function add_rows(key, name)
  local rows = redis.call('ZRANGE', key, 0, most - 1, 'WITHSCORES')
  local each = redis.call('ZCARD', key) / math.max(1, #rows / 2)
  for i = 1, #rows, 2 do
    local model = model_of(rows[i])
    model[name] = model[name] + each
    if name == 'queued' then model.oldest = math.min(model.oldest, tonumber(rows[i + 1])) end
  end
end

for _, pool in ipairs(redis.call('SMEMBERS', POOLS)) do
  local since = pooled(QUEUED_SINCE, pool)
  local first = redis.call('ZRANGE', since, 0, 0, 'WITHSCORES')
  if first[1] then
    local model = model_of(first[1])
    model.queued = model.queued + redis.call('ZCARD', since)
    model.oldest = math.min(model.oldest, tonumber(first[2]))
  end
end
add_rows(QUEUED_SINCE, 'queued')
add_rows(LEASES, 'running')
local answer = {}
for _, name in ipairs(names) do
  local model = models[name]
  answer[#answer + 1] = {name, math.floor(model.queued + 0.5), math.floor(model.running + 0.5),
    math.max(0, now - model.oldest)}
end
return answer
