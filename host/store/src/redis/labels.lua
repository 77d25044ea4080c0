-- The index of labels: what it has of a run, for the scripts that change or delete runs.

-- What the index of labels has of the run is replaced by this, which is not empty.
local function label(labels, labeled, id, new)
  local old = redis.call('HGET', labeled, id)
  if old == new then
    return
  end
  local function each(what, act)
    local started, words = string.match(what, '^(%d+) (.*)$')
    for word in string.gmatch(words, '[^,]+') do
      act(word .. ' ' .. started .. ' ' .. id)
    end
  end
  if old then
    each(old, function(member) redis.call('ZREM', labels, member) end)
  end
  each(new, function(member) redis.call('ZADD', labels, 0, member) end)
  redis.call('HSET', labeled, id, new)
end

-- Removes what the index of labels has of the run.
local function unlabel(labels, labeled, id)
  local old = redis.call('HGET', labeled, id)
  if old then
    local started, words = string.match(old, '^(%d+) (.*)$')
    for word in string.gmatch(words, '[^,]+') do
      redis.call('ZREM', labels, word .. ' ' .. started .. ' ' .. id)
    end
    redis.call('HDEL', labeled, id)
  end
end

