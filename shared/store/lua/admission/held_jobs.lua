-- List the jobs that workers hold, and the first ones of the queue.
-- ARGV: the most running ones to list, the most waiting ones
-- Returns two lists. Of each running job: its predicted busy ms (0 = unknown), the ms since it was
-- claimed, its demand, its worker, whether it is a tile, its progress and its prediction (JSON, ''
-- = unknown; of a tile its percent). Of each waiting one, in the order of the turns: its demand and
-- whether it is a tile.
local most_running, most_waiting = tonumber(ARGV[1]), tonumber(ARGV[2])

local now, running, waiting = now_ms(), {}, {}
for _, job_id in ipairs(redis.call('ZRANGE', LEASES, 0, most_running - 1)) do
  local job = fields(JOB .. job_id, 'busy_ms', 'started_ms', 'demand', 'worker', 'parent', 'progress',
    'predicted', 'percent')
  local since = math.max(0, now - (tonumber(job.started_ms or now) or now))
  running[#running + 1] = {tonumber(job.busy_ms or 0) or 0, since, job.demand or '',
    job.worker or '', job.parent and 1 or 0,
    job.parent and (job.percent or '0') or job.progress or '', job.predicted or ''}
end
-- each turn that is to come has a slot, named after its line: its first takes the line's first job
local lines = {}
for _, slot in ipairs(redis.call('ZRANGE', SLOTS, 0, most_waiting - 1)) do
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
return {running, waiting}
