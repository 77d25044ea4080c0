-- Removes a run from the index if it does not exist any more. KEYS: the run; the runs, due, labels and labeled of its part of the index. ARGV: the run's id.
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

if redis.call('HEXISTS', KEYS[1], 'e') == 0 then
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('ZREM', KEYS[3], ARGV[1])
  unlabel(KEYS[4], KEYS[5], ARGV[1])
end
