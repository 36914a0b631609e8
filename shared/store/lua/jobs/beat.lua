-- Workers say that they live. Answers for each job: 0 lost, 1 go on, 2 stop (canceled).
-- ARGV: lease ms, then id and owner token of each job
local now, answers = now_ms(), {}
for i = 2, #ARGV, 2 do
  local f = redis.call('HMGET', JOB .. ARGV[i], 'status', 'owner', 'cancel')
  if f[1] ~= 'running' or f[2] ~= ARGV[i + 1] then
    answers[#answers + 1] = 0
  else
    redis.call('ZADD', LEASES, 'XX', now + tonumber(ARGV[1]), ARGV[i])
    answers[#answers + 1] = f[3] == '1' and 2 or 1
  end
end
return answers
