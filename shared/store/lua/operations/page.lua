-- Read a piece of an index by score, behind a place in it, whatever came and went since that was read.
-- ARGV: the names below; backwards '1' = the largest score first;
--       after_score '' = from the first on, else behind the member after_id with this score
-- Returns members and scores.
local index, backwards, after_score, after_id, most = unpack(ARGV)

local count = tonumber(most)
if backwards == '1' then
  local last = redis.call('ZCARD', index) - 1
  if after_score ~= '' then last = rank_of(index, after_score, after_id) - 1 end
  if last < 0 then return {} end
  local piece = redis.call('ZRANGE', index, math.max(0, last - count + 1), last, 'WITHSCORES')
  local turned = {}
  for at = #piece - 1, 1, -2 do
    turned[#turned + 1], turned[#turned + 2] = piece[at], piece[at + 1]
  end
  return turned
end
local first = 0
if after_score ~= '' then
  first = rank_of(index, after_score, after_id)
  if redis.call('ZRANGE', index, first, first)[1] == after_id then first = first + 1 end
end
return redis.call('ZRANGE', index, first, first + count - 1, 'WITHSCORES')
