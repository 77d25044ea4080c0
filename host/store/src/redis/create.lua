-- The first commit of a run, which has nothing to compare: false if the run is there already, and else as `commit.lua` would.
-- KEYS: the run, its partition's runs and due. ARGV: the run's id, its start, when it is due ('' for never), when it expires
-- (0 for never), then the fields of the run and what they hold.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return false
end
-- Whatever is of another type than it should be is found before anything is written.
redis.call('ZCARD', KEYS[3])
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
if ARGV[3] == '' then
  redis.call('ZREM', KEYS[3], ARGV[1])
else
  redis.call('ZADD', KEYS[3], ARGV[3], ARGV[1])
end
redis.call('HSET', KEYS[1], unpack(ARGV, 5))
if ARGV[4] ~= '0' then
  redis.call('PEXPIREAT', KEYS[1], ARGV[4])
end
return 1
