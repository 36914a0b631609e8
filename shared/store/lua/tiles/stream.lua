-- What the first tiles of a long job add to its text is told, in reading order.
-- ARGV: id, number of the first of these tiles, the piece of each
-- Answers how many tiles are told; nil when the job has ended.
local id, row = ARGV[1], JOB .. ARGV[1]
local f = redis.call('HMGET', row, 'status', 'phase', 'tile_told')
if (f[1] ~= 'running' and f[1] ~= 'queued') or not f[2] then return nil end
local told = tonumber(f[3])
for number = 3, #ARGV do
  -- others may have told the first of them meanwhile
  local index = ARGV[2] + number - 3
  if index == told then
    settle_tile(id, index, ARGV[number])
    told = told + 1
  end
end
tell_live(id)
return told
