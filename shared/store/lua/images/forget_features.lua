-- Drop all features of a file that was erased.
-- KEYS: the set of their keys
-- Returns how many there were.
local names = redis.call('SMEMBERS', KEYS[1])
for _, name in ipairs(names) do drop_features(name) end
redis.call('DEL', KEYS[1])
return #names
