-- Removes a run from the index if it does not exist any more, and returns 1 if it was there. KEYS: the run; the runs, due, labels and labeled of its part of the index. ARGV: the run's id.
if redis.call('HEXISTS', KEYS[1], 'e') == 0 then
  local gone = redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('ZREM', KEYS[3], ARGV[1])
  unlabel(KEYS[4], KEYS[5], ARGV[1])
  return gone
end
return 0
