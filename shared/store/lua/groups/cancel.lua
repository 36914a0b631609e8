-- Cancel some of the jobs of a group that have not ended.
-- ARGV: the names below; after is the score of the last one of the call before, '' = begin
-- Returns the score of the last one, or '' when there are no more, and how many were not yet asked to
-- stop.
local tenant, group, after = unpack(ARGV)
local MOST = 100
local open = GROUP .. tenant .. ':' .. group .. GROUP_OPEN

local from = after == '' and '-inf' or '(' .. after
local entries = redis.call('ZRANGEBYSCORE', open, from, '+inf', 'WITHSCORES', 'LIMIT', 0, MOST)
local changed = 0
for i = 1, #entries, 2 do
  local asked = redis.call('HGET', JOB .. entries[i], 'cancel') == '1'
  local outcome = cancel_job(entries[i], tenant)
  if outcome == 'canceled' or (outcome == 'canceling' and not asked) then changed = changed + 1 end
end
return {#entries == 2 * MOST and entries[#entries] or '', changed}
