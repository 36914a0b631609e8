-- Image features in the cache role: their use, their sizes, and which belong to one file.

-- The set of the keys of all features of a file, from the key of one of them.
local function features_of_file(name)
  return string.match(name, '^(.*):[^:]*$')
end

local function drop_features(name)
  local size = tonumber(redis.call('HGET', FEATURES_BYTES, name) or 0)
  redis.call('DEL', name)
  redis.call('SREM', features_of_file(name), name)
  redis.call('ZREM', FEATURES_USED, name)
  redis.call('HDEL', FEATURES_BYTES, name)
  -- Lua writes minus nothing as -0, which Redis takes for no integer
  if size > 0 then redis.call('HINCRBY', FEATURES_BYTES, '', -size) end
end
