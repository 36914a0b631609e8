-- The owner tells of its work: progress into the row, events into the stream.
-- ARGV: id, owner token, progress json ('' = unchanged), event limit, then type and data of each
-- Answers like beat: 0 lost, 1 go on, 2 stop (canceled).
local id, row = ARGV[1], JOB .. ARGV[1]
local f = redis.call('HMGET', row, 'status', 'owner', 'cancel', 'parent', 'said')
if f[1] ~= 'running' or f[2] ~= ARGV[2] then return 0 end
if f[4] then
  -- a tile has no stream of its own: it speaks through its parent's
  local said = f[5] or ''
  for i = 5, #ARGV, 2 do
    if ARGV[i] == 'output.delta' then said = said .. cjson.decode(ARGV[i + 1]).text end
  end
  redis.call('HSET', row, 'said', said)
  if ARGV[3] ~= '' then
    weigh_tile(id, f[4], math.floor(cjson.decode(ARGV[3]).percent))
    tell_progress(f[4], now_ms(), false)
  end
  if said ~= (f[5] or '') then tell_live(f[4]) end
  return 1
end
if ARGV[3] ~= '' then
  redis.call('HSET', row, 'progress', ARGV[3])
  notify_progress(id, now_ms())
end
for i = 5, #ARGV, 2 do
  emit(id, ARGV[i], ARGV[i + 1], ARGV[4])
  if ARGV[i] == 'output.delta' then redis.call('HSET', row, 'streamed', '1') end
end
return f[3] == '1' and 2 or 1
