-- Makes a run expire at a time (ARGV, in milliseconds), or never (0). KEYS: the sets, then the run, whose expiry shows that the
-- others have been set.
for _, key in ipairs(KEYS) do
  if ARGV[1] == '0' then
    redis.call('PERSIST', key)
  else
    redis.call('PEXPIREAT', key, ARGV[1])
  end
end
