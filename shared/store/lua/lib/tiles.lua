-- Steps of long images and documents: a parent row, and for each tile or page a child row that works
-- for it. What is said here of tiles holds for pages, unless it says otherwise.
-- A child leaves no row behind: its outcome stands in its parent's hash of tiles.
local PROGRESS_EVERY_MS = 500

-- Forget which claim got a row: nothing that names an erased one may stay.
local function forget_claim(job_id)
  local owner = redis.call('HGET', JOB .. job_id, 'claimed_by')
  if owner then redis.call('DEL', CLAIMED .. owner) end
end

-- Remove a child; a worker that still has it will find its lease lost.
local function drop_tile(child, tenant)
  local pool = redis.call('HGET', JOB .. child, 'pool') or ''
  dequeue(child, line_name(tenant, pool, true))
  redis.call('ZREM', LEASES, child)
  redis.call('SREM', pooled(TILES_LIVE, pool), child)
  forget_claim(child)
  redis.call('DEL', JOB .. child, JOB .. child .. JOB_TEXT)
end

local function file_long_job(parent, tenant, pool, number)
  if pool ~= '' then redis.call('SADD', POOLS, pool) end
  redis.call('ZADD', pooled(LONG, pool), number, parent)
  redis.call('ZADD', pooled(LONG_OF .. tenant, pool), number, parent)
  redis.call('ZADD', pooled(LONG_TENANTS, pool), 'NX', number, tenant)
end

local function unfile_long_job(parent, tenant, pool)
  local own = pooled(LONG_OF .. tenant, pool)
  redis.call('ZREM', pooled(LONG, pool), parent)
  redis.call('ZREM', own, parent)
  if redis.call('EXISTS', own) == 0 then redis.call('ZREM', pooled(LONG_TENANTS, pool), tenant) end
end

-- An older version files long jobs in one list alone. Those that it added come to its front.
local function complete_long_lists()
  local parent, number = unpack(redis.call('ZRANGE', LONG, 0, 0, 'WITHSCORES'))
  if not parent then return end
  local tenant = redis.call('HGET', JOB .. parent, 'tenant')
  if not tenant then return redis.call('ZREM', LONG, parent) end
  redis.call('ZADD', LONG_OF .. tenant, 'NX', number, parent)
  redis.call('ZADD', LONG_TENANTS, 'NX', number, tenant)
end

-- Return the long job of a pool whose turn it is, and its tenant: tenants take turns, whatever number
-- of long jobs each has, and the long jobs of one tenant do.
local function next_long_job(pool)
  while true do
    if pool == '' then complete_long_lists() end
    local tenant = redis.call('ZRANGE', pooled(LONG_TENANTS, pool), 0, 0)[1]
    if not tenant then return nil end
    local parent = redis.call('ZRANGE', pooled(LONG_OF .. tenant, pool), 0, 0)[1]
    if parent and redis.call('ZSCORE', pooled(LONG, pool), parent) then return parent, tenant end
    unfile_long_job(parent or '', tenant, pool)
  end
end

-- Queue children of a pool while there is room for them, from each of its long jobs in turn.
-- Returns id and queue of each row that needs a doorbell.
local function schedule_tiles(pool, now)
  local doorbells, room = {}, tonumber(redis.call('GET', pooled(TILES_ROOM, pool)) or 1)
  local live = pooled(TILES_LIVE, pool)
  while redis.call('SCARD', live) < room do
    local parent, tenant = next_long_job(pool)
    if not parent then break end
    local key = JOB .. parent
    local total = tonumber(redis.call('HGET', key, 'tiles_total') or 0)
    -- a row that somebody has deleted must not come into being again
    local index = total > 0 and redis.call('HINCRBY', key, 'tile_next', 1) - 1
    if not index or index >= total then
      unfile_long_job(parent, tenant, pool)
    else
      local child = redis.call('HGET', key .. JOB_TILES, 'id:' .. index)
      -- a tile without ink needs no child
      if child then
        local job = fields(key, 'queue', 'score', 'number', 'pool')
        -- its place is that of a job which came now
        local number = redis.call('INCR', SEQUENCE)
        local score = string.format('%.0f', job.score - job.number + number)
        redis.call('HSET', JOB .. child, 'score', score)
        enqueue(child, line_name(tenant, pool, true), score, now)
        redis.call('SADD', live, child)
        file_long_job(parent, tenant, pool, number)
        redis.call('ZADD', pooled(LONG_TENANTS, pool), number, tenant)
        doorbells[#doorbells + 1] = {child, bell_of(job)}
      end
    end
  end
  return doorbells
end

-- All tiles have ended: queue the parent itself, for a worker that makes one answer of them.
-- Returns its id and queue.
local function queue_merge(parent, now)
  local key = JOB .. parent
  redis.call('HSET', key, 'phase', 'merge', 'attempt', 0, 'streamed', '')
  local job = fields(key, 'tenant', 'score', 'queue', 'pool')
  enqueue(parent, line_name(job.tenant, job.pool), job.score, now)
  return {parent, bell_of(job)}
end

-- Return id and queue of each row of a long job that waits for a worker: what split and finish
-- answer when they are sent again.
local function waiting_rows(parent)
  local doorbells = {}
  local function append_waiting(job_id)
    local job = fields(JOB .. job_id, 'status', 'queue', 'pool')
    if job.status == 'queued' then doorbells[#doorbells + 1] = {job_id, bell_of(job)} end
  end
  append_waiting(parent)
  local pool = redis.call('HGET', JOB .. parent, 'pool') or ''
  for _, child in ipairs(redis.call('SMEMBERS', pooled(TILES_LIVE, pool))) do
    if redis.call('HGET', JOB .. child, 'parent') == parent then append_waiting(child) end
  end
  return doorbells
end

local function stream_text(parent, index, text)
  if text == '' then return end
  local pages = redis.call('HGET', JOB .. parent, 'pages')
  local page = pages and pages ~= '' and cjson.decode(pages)[index + 1] or nil
  emit(parent, 'output.delta', cjson.encode({text = text, tile = index, page = page}))
  redis.call('HSET', JOB .. parent, 'told_any', '1')
end

-- Stream what the first unsettled tile has read so far, if no other tile can change it any more.
local function stream_live_text(parent)
  local key = JOB .. parent
  local job = fields(key, 'tile_stream', 'tile_told', 'told_live', 'told_any')
  if job.tile_stream ~= '1' then return end
  local child = redis.call('HGET', key .. JOB_TILES, 'id:' .. job.tile_told)
  local text = child and redis.call('GET', JOB .. child .. JOB_TEXT)
  if not text or text == '' then return end
  local sent = job.told_live or ''
  if sent == '' and job.told_any == '1' then text = '\n' .. text end
  if string.sub(sent, 1, 1) == '\n' then text = '\n' .. text end
  redis.call('HSET', key, 'told_live', text)
  stream_text(parent, tonumber(job.tile_told), string.sub(text, #sent + 1))
end

-- What was streamed beyond the settled text no longer holds: reset the stream and send that again.
local function restart_stream(parent, reason)
  local key = JOB .. parent
  redis.call('HSET', key, 'told_live', '', 'told_any', '')
  emit(parent, 'output.reset', cjson.encode({reason = reason}))
  for index = 0, tonumber(redis.call('HGET', key, 'tile_told')) - 1 do
    stream_text(parent, index, redis.call('HGET', key .. JOB_TILES, 'told:' .. index))
  end
end

-- Settle what a tile adds to the joined text, and stream what of it was not streamed yet.
local function settle_tile(parent, index, piece)
  local key = JOB .. parent
  local sent = redis.call('HGET', key, 'told_live') or ''
  if string.sub(piece, 1, #sent) ~= sent then
    restart_stream(parent, 'tile')
    sent = ''
  end
  redis.call('HSET', key .. JOB_TILES, 'told:' .. index, piece)
  redis.call('HSET', key, 'tile_told', index + 1, 'told_live', '')
  stream_text(parent, index, string.sub(piece, #sent + 1))
end

-- The text that a job's events add up to.
local function streamed_text(job_id)
  local key = JOB .. job_id
  local job = fields(key, 'tile_stream', 'tile_told', 'told_live')
  if job.tile_stream ~= '1' then return redis.call('GET', key .. JOB_TEXT) or '' end
  local pieces = {}
  for index = 0, tonumber(job.tile_told or 0) - 1 do
    pieces[#pieces + 1] = redis.call('HGET', key .. JOB_TILES, 'told:' .. index) or ''
  end
  return table.concat(pieces) .. (job.told_live or '')
end

-- An answer is final: stream what is missing of it, or all of it where something else was streamed.
local function close_stream(job_id, text)
  local sent = streamed_text(job_id)
  if string.sub(text, 1, #sent) ~= sent then
    emit(job_id, 'output.reset', cjson.encode({reason = 'answer'}))
    sent = ''
  end
  local rest = string.sub(text, #sent + 1)
  if rest ~= '' then emit(job_id, 'output.delta', cjson.encode({text = rest})) end
end

-- Lua takes an empty list for an object. No text can look like this: its quotes are escaped.
local function with_empty_lists(json)
  return (string.gsub(json, '"warnings":{}', '"warnings":[]'))
end

-- Tell that a page is ready, in whatever order pages become so; tiles are told of by deltas alone.
local function emit_page(parent, index, outcome)
  local pages = redis.call('HGET', JOB .. parent, 'pages')
  if not pages or pages == '' then return end
  local gap = outcome.gap or false
  emit(parent, 'output.page', with_empty_lists(cjson.encode({page = cjson.decode(pages)[index + 1],
    text = not gap and outcome.text or cjson.null, source = outcome.source or 'model', gap = gap,
    warnings = outcome.notices or {}})))
end

local function set_tile_percent(child, parent, percent)
  local old = tonumber(redis.call('HGET', JOB .. child, 'percent') or 0)
  redis.call('HSET', JOB .. child, 'percent', percent)
  redis.call('HINCRBY', JOB .. parent, 'tile_percent', percent - old)
end

-- A worker has lost a child or given it back: it starts over.
local function reset_tile(child, parent)
  set_tile_percent(child, parent, 0)
  redis.call('DEL', JOB .. child .. JOB_TEXT)
  local job = fields(JOB .. parent, 'tile_told', 'told_live')
  local index = redis.call('HGET', JOB .. child, 'tile')
  if job.tile_told == index and job.told_live and job.told_live ~= '' then
    restart_stream(parent, 'retry')
  end
end

local function report_tiles_progress(parent, now, always)
  local key = JOB .. parent
  local job = fields(key, 'tiles_total', 'tiles_done', 'tile_percent', 'tile_stage', 'split_ms',
    'progress_ms', 'tile_tokens', 'tiles_percent', 'tiles_known', 'pages')
  if not always and now - tonumber(job.progress_ms or 0) < PROGRESS_EVERY_MS then return end
  local total, done_percent = tonumber(job.tiles_total), tonumber(job.tile_percent or 0)
  -- what needed no child says nothing about the pace of those that do
  local known = tonumber(job.tiles_known or 0)
  local share, eta_s = 1, cjson.null
  if known < total then share = (done_percent - 100 * known) / (100 * (total - known)) end
  if share >= 0.02 then
    eta_s = math.floor((now - tonumber(job.split_ms)) / 100 * (1 - share) / share) / 10
  end
  local unit = job.pages and job.pages ~= '' and 'pages' or 'tiles'
  -- the percent beyond tiles_percent are the merge's
  local progress = cjson.encode({stage = job.tile_stage,
    percent = math.floor(job.tiles_percent * done_percent / (100 * total)),
    [unit .. '_done'] = tonumber(job.tiles_done), [unit .. '_total'] = total,
    output_tokens = tonumber(job.tile_tokens or 0), eta_s = eta_s})
  redis.call('HSET', key, 'progress', progress, 'progress_ms', now)
  emit(parent, 'job.progress', progress)
  notify_progress(parent, now)
end

-- What a tile adds to a partial output, and what stands for its text if it could not be read.
local function tile_part(tile, outcome)
  return {image = tile.seam.image or 0, box = tile.box, text = outcome and outcome.text or cjson.null,
    gap = outcome and outcome.gap or false}, tile.mark
end

local function page_part(page, outcome)
  local known = outcome or {}
  local text = outcome and not known.gap and outcome.text or cjson.null
  return {page = page, text = text, source = known.source or 'model', gap = known.gap or false,
    confidence = known.confidence or cjson.null, warnings = known.notices or {},
    tiles = known.tiles or 0}, '[unread: page ' .. page .. ']'
end

-- Save what was read of a long job that ends before its merge as its partial output.
local function save_partial_output(job_id, status)
  local key, tiles_key = JOB .. job_id, JOB .. job_id .. JOB_TILES
  local job = fields(key, 'tile_stream', 'tiles', 'pages', 'output')
  if job.tile_stream ~= '1' or (job.output and job.output ~= '') then return end
  local is_document = job.pages and job.pages ~= ''
  local make_part = is_document and page_part or tile_part
  local texts, parts = {}, {}
  for number, info in ipairs(cjson.decode(is_document and job.pages or job.tiles)) do
    local stored = redis.call('HGET', tiles_key, 'out:' .. (number - 1))
    local outcome = stored and cjson.decode(stored)
    local part, mark = make_part(info, outcome)
    if outcome then
      local text = outcome.gap and mark or outcome.text
      if text ~= '' then texts[#texts + 1] = text end
    end
    parts[number] = part
  end
  local text = table.concat(texts, is_document and '\n\n' or '\n')
  close_stream(job_id, text)
  redis.call('HSET', key, 'output', with_empty_lists(cjson.encode({text = text,
    json = cjson.null, fields = {}, partial = true, [is_document and 'pages' or 'tiles'] = parts,
    finish_reason = status == 'expired' and 'deadline' or 'canceled'})))
end

-- A job ends: stop its children. Their outcomes are kept if a repeated job could use them.
local function end_tiles(job_id, tenant, status)
  local key, tiles_key = JOB .. job_id, JOB .. job_id .. JOB_TILES
  unfile_long_job(job_id, tenant, redis.call('HGET', key, 'pool') or '')
  local tiles, gaps = redis.call('HGETALL', tiles_key), false
  if #tiles == 0 then return end
  if status == 'canceled' or status == 'expired' then save_partial_output(job_id, status) end
  local together = redis.call('HGET', key, 'together')
  for i = 1, #tiles, 2 do
    local name, value = tiles[i], tiles[i + 1]
    local is_outcome = string.sub(name, 1, 4) == 'out:'
    if string.sub(name, 1, 3) == 'id:' then drop_tile(value, tenant) end
    local gap = is_outcome and cjson.decode(value).gap
    if gap or not is_outcome then redis.call('HDEL', tiles_key, name) end
    gaps = gaps or gap
  end
  if status == 'erased' or together == '1' or (status == 'succeeded' and not gaps) then
    redis.call('DEL', tiles_key)
  end
end
