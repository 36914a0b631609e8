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

-- Add an ended job to the usage of its tenant.
local function count_usage(job_id, tenant, status, now)
  local DAY_MS = 86400000
  local day, month = calendar(now)
  local periods = {[day] = 400 * DAY_MS, [month] = 1200 * DAY_MS}
  local amounts = amounts_of(JOB .. job_id, status)
  for period, kept_ms in pairs(periods) do
    local key = USAGE .. tenant .. ':' .. period
    for name, amount in pairs(amounts) do
      if amount > 0 then redis.call('HINCRBY', key, name, string.format('%.0f', amount)) end
    end
    redis.call('PEXPIRE', key, kept_ms)
  end
end
