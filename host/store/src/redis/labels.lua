-- The index of words: what it has of a run, for the scripts that change or delete runs. A word is a label, or a colon and something else
-- by which runs are found. `labels` has for each word of a run `WORD START ID`, and for its id `:i ID`; `labeled` has for each id the
-- start and the words.

-- The entries of the index for what `labeled` has of a run.
local function members(id, what)
  local started, words = string.match(what, '^(%d+) (.*)$')
  local found = {}
  for word in string.gmatch(words, '[^,]+') do
    found[word .. ' ' .. started .. ' ' .. id] = true
  end
  return found
end

-- What the index has of the run is replaced by this, which is not empty.
local function label(labels, labeled, id, new)
  local old = redis.call('HGET', labeled, id)
  if old == new then
    return false
  end
  local before, after = old and members(id, old) or {}, members(id, new)
  local gone, come = {}, { 'ZADD', labels }
  for member in pairs(before) do
    if not after[member] then
      gone[#gone + 1] = member
    end
  end
  for member in pairs(after) do
    if not before[member] then
      come[#come + 1], come[#come + 2] = 0, member
    end
  end
  come[#come + 1], come[#come + 2] = 0, ':i ' .. id
  if #gone > 0 then
    redis.call('ZREM', labels, unpack(gone))
  end
  redis.call(unpack(come))
  redis.call('HSET', labeled, id, new)
  return true
end

-- Removes what the index has of the run.
local function unlabel(labels, labeled, id)
  local old = redis.call('HGET', labeled, id)
  if old then
    local gone = { 'ZREM', labels, ':i ' .. id }
    for member in pairs(members(id, old)) do
      gone[#gone + 1] = member
    end
    redis.call(unpack(gone))
    redis.call('HDEL', labeled, id)
  end
end

