-- Deletes a run and returns nothing, if all its sets are among the keys. Otherwise returns the names of its sets.
-- KEYS: the run; the runs, due, labels and labeled of its part of the index; then the sets. ARGV: the run's id, then the names of the sets.
local named = {}
for at = 2, #ARGV do
  named[ARGV[at]] = true
end
local sets, missing = {}, false
if redis.call('TYPE', KEYS[1]).ok == 'hash' then
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if string.sub(field, 1, 1) == 's' then
      local set = string.sub(field, 2)
      sets[#sets + 1] = set
      missing = missing or not named[set]
    end
  end
end
if missing then
  return sets
end
redis.call('UNLINK', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
unlabel(KEYS[4], KEYS[5], ARGV[1])
for set = 6, #KEYS do
  redis.call('UNLINK', KEYS[set])
end
return {}
