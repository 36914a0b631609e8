-- What each tenant has used: sums of its ended jobs by day and by month, in UTC.

-- Return a moment's day and month, as 2026-11-28 and 2026-11 (Hinnant's days to civil).
local function calendar(ms)
  local floor = math.floor
  local shifted = floor(ms / 86400000) + 719468
  local era = floor(shifted / 146097)
  local day_of_era = shifted - era * 146097
  local year_of_era = floor((day_of_era - floor(day_of_era / 1460) + floor(day_of_era / 36524)
    - floor(day_of_era / 146096)) / 365)
  local day_of_year = day_of_era - (365 * year_of_era + floor(year_of_era / 4)
    - floor(year_of_era / 100))
  -- counted from March, so that a leap day is the last of a year
  local from_march = floor((5 * day_of_year + 2) / 153)
  local day = day_of_year - floor((153 * from_march + 2) / 5) + 1
  local month = from_march < 10 and from_march + 3 or from_march - 9
  local year = year_of_era + era * 400 + (month <= 2 and 1 or 0)
  local name = string.format('%04d-%02d', year, month)
  return string.format('%s-%02d', name, day), name
end

-- Return what a field of a row says as JSON; an empty table where it says nothing.
local function read_json(text)
  local value = text and text ~= '' and cjson.decode(text)
  return type(value) == 'table' and value or {}
end

-- Return what an ended job adds to its tenant's usage.
local function amounts_of(key, status)
  local job = fields(key, 'usage', 'metrics', 'images', 'pages')
  local amounts = {jobs = 1, images = #read_json(job.images), pages = #read_json(job.pages)}
  amounts[status] = 1
  local tokens = read_json(job.usage)
  for _, kind in ipairs({'prompt_tokens', 'completion_tokens', 'image_tokens'}) do
    amounts[kind] = tokens[kind]
  end
  local seconds, work_s = read_json(job.metrics), 0
  for _, stage in ipairs({'read_s', 'encode_s', 'prefill_s', 'decode_s'}) do
    work_s = work_s + (seconds[stage] or 0)
  end
  amounts.work_ms = math.floor(work_s * 1000 + 0.5)
  return amounts
end

local BUDGETED = {'jobs', 'pages', 'tokens'}

-- Return what a tenant may use in a month by kind, and what it has used in this one.
local function read_budget(tenant, month)
  local limits = fields(BUDGET .. tenant, unpack(BUDGETED))
  local row = fields(USAGE .. tenant .. ':' .. month, 'jobs', 'pages', 'prompt_tokens',
    'completion_tokens')
  local used = {jobs = tonumber(row.jobs or 0), pages = tonumber(row.pages or 0),
    tokens = tonumber(row.prompt_tokens or 0) + tonumber(row.completion_tokens or 0)}
  return limits, used
end

-- Return the kind of which a tenant has used all that it may in this month, else nil.
local function spent_budget(tenant, now)
  if redis.call('EXISTS', BUDGET .. tenant) == 0 then return nil end
  local _, month = calendar(now)
  local limits, used = read_budget(tenant, month)
  -- those that have not ended will be counted too
  used.jobs = used.jobs + redis.call('SCARD', UNFINISHED .. tenant)
  for _, kind in ipairs(BUDGETED) do
    if limits[kind] and used[kind] >= tonumber(limits[kind]) then return kind end
  end
end

-- Tell once in a month that four fifths of a budget are used, and once that all of it is.
local function tell_budget(tenant, month, now)
  local key = BUDGET .. tenant
  local to = fields(key, 'webhook', 'webhook_endpoint', 'webhook_origin', 'webhook_url_id')
  if not to.webhook then return end
  local limits, used = read_budget(tenant, month)
  for _, kind in ipairs(BUDGETED) do
    local limit = tonumber(limits[kind] or math.huge)
    local percent = used[kind] >= limit and 100 or used[kind] >= 0.8 * limit and 80
    local note = percent and table.concat({'told', kind, percent, limit}, ':')
    if note and redis.call('HSETNX', USAGE .. tenant .. ':' .. month, note, now) == 1 then
      add_delivery('dlv_' .. string.upper(redis.sha1hex(tenant .. month .. note)), tenant,
        to.webhook_endpoint, to.webhook_origin, now, 'api', 'budgets', 'about',
        cjson.encode({budget = kind, percent = percent, limit = limit, used = used[kind],
          month = month}),
        'type', 'budget.reached', 'url', to.webhook, 'url_id', to.webhook_url_id)
    end
  end
end

-- Add an ended job to the usage of its tenant.
local function count_usage(job_id, tenant, status, now)
  local DAY_MS = 86400000
  local day, month = calendar(now)
  local lives = {[day] = 400 * DAY_MS, [month] = 1200 * DAY_MS}
  local amounts = amounts_of(JOB .. job_id, status)
  for period, life_ms in pairs(lives) do
    local key = USAGE .. tenant .. ':' .. period
    for name, amount in pairs(amounts) do
      if amount > 0 then redis.call('HINCRBY', key, name, string.format('%.0f', amount)) end
    end
    redis.call('PEXPIRE', key, life_ms)
  end
  if redis.call('EXISTS', BUDGET .. tenant) == 1 then tell_budget(tenant, month, now) end
end
