-- List the jobs that the workers of a model hold, and the first ones that wait for it.
-- ARGV: the most running ones to look at, the most waiting ones to list, the pool of the model, and
--       the model ('' = whichever)
-- Returns two lists, and how many jobs the workers hold. Of each running job: its predicted busy ms (0 = unknown), the ms since it was
-- claimed, its demand, its worker, whether it is a tile, its progress and its prediction (JSON, ''
-- = unknown; of a tile its percent). Of each waiting one, in the order of the turns: its demand and
-- whether it is a tile.
local most_running, most_waiting, pool, model = unpack(ARGV)
most_running, most_waiting = tonumber(most_running), tonumber(most_waiting)

local now, running, waiting = now_ms(), {}, {}
for _, job_id in ipairs(redis.call('ZRANGE', LEASES, 0, most_running - 1)) do
  local job = fields(JOB .. job_id, 'busy_ms', 'started_ms', 'demand', 'worker', 'parent', 'progress',
    'predicted', 'percent', 'model')
  if model == '' or job.model == model then
    local since = math.max(0, now - (tonumber(job.started_ms or now) or now))
    running[#running + 1] = {tonumber(job.busy_ms or 0) or 0, since, job.demand or '',
      job.worker or '', job.parent and 1 or 0,
      job.parent and (job.percent or '0') or job.progress or '', job.predicted or ''}
  end
end
-- each turn that is to come has a slot, named after its line: its first takes the line's first job
local lines = {}
for _, slot in ipairs(redis.call('ZRANGE', pooled(SLOTS, pool), 0, most_waiting - 1)) do
  local line = string.match(slot, '^(.*)%z%d+$')
  if line then
    lines[line] = lines[line] or {redis.call('ZRANGE', LINE .. line, 0, most_waiting - 1), 0}
    lines[line][2] = lines[line][2] + 1
    local job_id = lines[line][1][lines[line][2]]
    if job_id then
      local job = fields(JOB .. job_id, 'demand', 'parent')
      waiting[#waiting + 1] = {job.demand or '', job.parent and 1 or 0}
    end
  end
end
return {running, waiting, running_of(model)}
