-- Puts into the index what it should have of a run, unless its entry has changed meanwhile. Returns whether that changed something.
-- KEYS: the run; the runs, due, labels and labeled of its part of the index. ARGV: the run's id, its entry, what the index should have.
if redis.call('HGET', KEYS[1], 'e') == ARGV[2] and label(KEYS[4], KEYS[5], ARGV[1], ARGV[3]) then
  return 1
end
return 0
