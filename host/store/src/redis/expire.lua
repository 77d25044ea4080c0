-- Lets a run expire at a time, or never. KEYS: the sets, and last the run, by which others tell that it is done.
for _, key in ipairs(KEYS) do
  if ARGV[1] == '0' then
    redis.call('PERSIST', key)
  else
    redis.call('PEXPIREAT', key, ARGV[1])
  end
end
