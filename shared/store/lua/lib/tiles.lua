-- Steps of long images: a parent row, and for each tile a child row that works for it.
-- A child leaves no row behind: its outcome stands in its parent's hash of tiles.
local PROGRESS_EVERY_MS = 500

-- A child disappears; a worker that still holds it hears that it is lost.
local function drop_tile(child, tenant)
  dequeue(child, tiles_line(tenant))
  redis.call('ZREM', LEASES, child)
  redis.call('SREM', TILES_LIVE, child)
  redis.call('DEL', JOB .. child)
end

-- Fill the room that workers leave to tiles, from each long job in turn.
-- Answers id and queue of each row to ring for.
local function schedule_tiles(now)
  local ring, room = {}, tonumber(redis.call('GET', TILES_ROOM) or 1)
  while redis.call('SCARD', TILES_LIVE) < room do
    local parent = redis.call('ZRANGE', LONG, 0, 0)[1]
    if not parent then break end
    local row = JOB .. parent
    local index = redis.call('HINCRBY', row, 'tile_next', 1) - 1
    if index >= tonumber(redis.call('HGET', row, 'tiles_total') or 0) then
      redis.call('ZREM', LONG, parent)
    else
      local child = redis.call('HGET', row .. JOB_TILES, 'id:' .. index)
      -- a tile without ink needs no child
      if child then
        local f = redis.call('HMGET', row, 'tenant', 'queue', 'score', 'number')
        -- its place is that of a job which came now
        local number = redis.call('INCR', SEQUENCE)
        local score = string.format('%.0f', f[3] - f[4] + number)
        redis.call('HSET', JOB .. child, 'score', score)
        enqueue(child, tiles_line(f[1]), score, now)
        redis.call('SADD', TILES_LIVE, child)
        redis.call('ZADD', LONG, number, parent)
        ring[#ring + 1] = {child, f[2]}
      end
    end
  end
  return ring
end

-- All tiles have ended: the parent itself waits for a worker that makes one answer of them.
local function queue_merge(parent, now)
  local row = JOB .. parent
  redis.call('HSET', row, 'phase', 'merge', 'attempt', 0, 'streamed', '')
  local f = redis.call('HMGET', row, 'tenant', 'score', 'queue')
  enqueue(parent, f[1], f[2], now)
  return {parent, f[3]}
end

local function shown_text(row, index, told)
  if not told.gap then return told.text end
  return cjson.decode(redis.call('HGET', row, 'tiles'))[index + 1].mark
end

local function tell_text(parent, index, text)
  if text == '' then return end
  emit(parent, 'output.delta', cjson.encode({text = text, tile = index}))
  redis.call('HSET', JOB .. parent, 'told_any', '1')
end

-- The first tile that is not told for good speaks while it is read, if nothing else can change it.
local function tell_live(parent)
  local row = JOB .. parent
  local f = redis.call('HMGET', row, 'tile_stream', 'tile_told', 'told_live', 'told_any')
  if f[1] ~= '1' then return end
  local child = redis.call('HGET', row .. JOB_TILES, 'id:' .. f[2])
  local said = child and redis.call('HGET', JOB .. child, 'said')
  if not said or said == '' then return end
  local sent = f[3] or ''
  if sent == '' and f[4] == '1' then said = '\n' .. said end
  if string.sub(sent, 1, 1) == '\n' then said = '\n' .. said end
  redis.call('HSET', row, 'told_live', said)
  tell_text(parent, tonumber(f[2]), string.sub(said, #sent + 1))
end

-- What was told beyond the settled text no longer holds: the stream starts over.
local function retell_tiles(parent, why)
  local row = JOB .. parent
  redis.call('HSET', row, 'told_live', '', 'told_any', '')
  emit(parent, 'output.reset', cjson.encode({reason = why}))
  for index = 0, tonumber(redis.call('HGET', row, 'tile_told')) - 1 do
    tell_text(parent, index, redis.call('HGET', row .. JOB_TILES, 'told:' .. index))
  end
end

-- What a tile adds to the joined text is settled.
local function settle_tile(parent, index, piece)
  local row = JOB .. parent
  local sent = redis.call('HGET', row, 'told_live') or ''
  if string.sub(piece, 1, #sent) ~= sent then
    retell_tiles(parent, 'tile')
    sent = ''
  end
  redis.call('HSET', row .. JOB_TILES, 'told:' .. index, piece)
  redis.call('HSET', row, 'tile_told', index + 1, 'told_live', '')
  tell_text(parent, index, string.sub(piece, #sent + 1))
end

-- Note how far a tile has come, in percent.
local function weigh_tile(child, parent, percent)
  local old = tonumber(redis.call('HGET', JOB .. child, 'percent') or 0)
  redis.call('HSET', JOB .. child, 'percent', percent)
  redis.call('HINCRBY', JOB .. parent, 'tile_percent', percent - old)
end

-- A worker has lost a tile's child or given it back.
local function tile_starts_over(child, parent)
  weigh_tile(child, parent, 0)
  redis.call('HSET', JOB .. child, 'said', '')
  local f = redis.call('HMGET', JOB .. parent, 'tile_told', 'told_live')
  local index = redis.call('HGET', JOB .. child, 'tile')
  if f[1] == index and f[2] and f[2] ~= '' then retell_tiles(parent, 'retry') end
end

local function tell_progress(parent, now, always)
  local row = JOB .. parent
  local f = redis.call('HMGET', row, 'tiles_total', 'tiles_done', 'tile_percent', 'tile_stage',
    'split_ms', 'progress_ms', 'tile_tokens', 'tiles_percent')
  if not always and now - tonumber(f[6] or 0) < PROGRESS_EVERY_MS then return end
  local total, share = tonumber(f[1]), tonumber(f[3] or 0) / (100 * tonumber(f[1]))
  local eta = cjson.null
  if share >= 0.02 then
    eta = math.floor((now - tonumber(f[5])) / 100 * (1 - share) / share) / 10
  end
  -- the rest is the merge's
  local progress = cjson.encode({stage = f[4], percent = math.floor(f[8] * share),
    tiles_done = tonumber(f[2]), tiles_total = total, output_tokens = tonumber(f[7] or 0),
    eta_s = eta})
  redis.call('HSET', row, 'progress', progress, 'progress_ms', now)
  emit(parent, 'job.progress', progress)
  notify_progress(parent, now)
end

-- What has been read of a long job that ends before its merge.
local function keep_partial(id, status)
  local row, tiles = JOB .. id, JOB .. id .. JOB_TILES
  local f = redis.call('HMGET', row, 'tile_stream', 'tiles', 'output')
  if f[1] ~= '1' or (f[3] and f[3] ~= '') then return end
  local texts, parts = {}, {}
  for number, tile in ipairs(cjson.decode(f[2])) do
    local outcome = redis.call('HGET', tiles, 'out:' .. (number - 1))
    local told = outcome and cjson.decode(outcome)
    local part = {image = tile.seam.image or 0, box = tile.box, text = cjson.null, gap = told and told.gap or false}
    if told then
      local text = shown_text(row, number - 1, told)
      part.text = told.text
      if text ~= '' then texts[#texts + 1] = text end
    end
    parts[number] = part
  end
  redis.call('HSET', row, 'output', cjson.encode({text = table.concat(texts, '\n'),
    json = cjson.null, fields = {}, partial = true, tiles = parts,
    finish_reason = status == 'expired' and 'deadline' or 'canceled'}))
end

-- A job ends: its children stop. What they have read is kept if there is something to repeat.
local function end_tiles(id, status)
  local row, tiles = JOB .. id, JOB .. id .. JOB_TILES
  redis.call('ZREM', LONG, id)
  local kept, gaps = redis.call('HGETALL', tiles), false
  if #kept == 0 then return end
  if status == 'canceled' or status == 'expired' then keep_partial(id, status) end
  local f = redis.call('HMGET', row, 'tenant', 'together')
  for i = 1, #kept, 2 do
    local child = string.sub(kept[i], 1, 3) == 'id:'
    if child then drop_tile(kept[i + 1], f[1]) end
    local gap = string.sub(kept[i], 1, 4) == 'out:' and cjson.decode(kept[i + 1]).gap
    if gap or string.sub(kept[i], 1, 4) ~= 'out:' then redis.call('HDEL', tiles, kept[i]) end
    gaps = gaps or gap
  end
  if status == 'erased' or f[2] == '1' or (status == 'succeeded' and not gaps) then
    redis.call('DEL', tiles)
  end
end
