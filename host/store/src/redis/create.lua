-- The first commit of a run, which has nothing to compare: false if the run is there already, or one of its sets, and else as
-- `commit.lua` would. It answers with how many have arrived in each set.
-- KEYS: the run, its partition's runs and due, then the sets. ARGV: the run's id, its start, when it is due ('' for never), when
-- it expires (0 for never); how many arrivals, and of each its set's key, its set, its name and its result; then the fields of
-- the run and what they hold.
local run, runs, due = KEYS[1], KEYS[2], KEYS[3]
local id, started, due_at, expire, arrivals = unpack(ARGV, 1, 5)
for key, name in ipairs(KEYS) do
  if name ~= runs and name ~= due and redis.call('EXISTS', name) == 1 then
    return false
  end
end
-- Whatever is of another type than it should be is found before anything is written.
redis.call('ZCARD', due)
redis.call('ZADD', runs, started, id)
if due_at == '' then
  redis.call('ZREM', due, id)
else
  redis.call('ZADD', due, due_at, id)
end
local fields = 6 + 4 * arrivals
for at = 6, fields - 1, 4 do
  redis.call('HSETNX', KEYS[tonumber(ARGV[at])], ARGV[at + 2], ARGV[at + 3])
end
redis.call('HSET', run, unpack(ARGV, fields))
local sizes = {}
for set = 4, #KEYS do
  sizes[set - 3] = redis.call('HLEN', KEYS[set])
  if expire ~= '0' then
    redis.call('PEXPIREAT', KEYS[set], expire)
  end
end
if expire ~= '0' then
  redis.call('PEXPIREAT', run, expire)
end
return sizes
