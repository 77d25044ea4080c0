-- Applies the first commit of a run, which has no versions to compare. Returns false, and changes nothing, if the run or one of
-- its sets exists already; otherwise the effect is that of `commit.lua`. Returns how many members each set has.
-- KEYS: the run; the runs, due, labels and labeled of its part of the index; then the sets. ARGV: the run's id, its start, when it is due ('' for never), when
-- it expires (0 for never), what the index of words gets; the number of arrivals, and of each its set's position among the keys, its set, its member and the
-- member's content; then the fields of the run and their values.
local run, runs, due, labels, labeled = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id, started, due_at, expire, indexed, arrivals = unpack(ARGV, 1, 6)
for key, name in ipairs(KEYS) do
  if (key == 1 or key > 5) and redis.call('EXISTS', name) == 1 then
    return false
  end
end
-- Fails before anything is written if the key has a value of another type.
redis.call('ZCARD', due)
redis.call('ZCARD', labels)
redis.call('HLEN', labeled)
redis.call('ZADD', runs, started, id)
label(labels, labeled, id, indexed)
if due_at == '' then
  redis.call('ZREM', due, id)
else
  redis.call('ZADD', due, due_at, id)
end
local fields = 7 + 4 * arrivals
for at = 7, fields - 1, 4 do
  redis.call('HSETNX', KEYS[tonumber(ARGV[at])], ARGV[at + 2], ARGV[at + 3])
end
redis.call('HSET', run, unpack(ARGV, fields))
local sizes = {}
for set = 6, #KEYS do
  sizes[set - 5] = redis.call('HLEN', KEYS[set])
  if expire ~= '0' then
    redis.call('PEXPIREAT', KEYS[set], expire)
  end
end
if expire ~= '0' then
  redis.call('PEXPIREAT', run, expire)
end
return sizes
