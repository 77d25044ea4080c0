-- Applies one commit. All conditions are checked before anything is written.
-- KEYS: the run; the runs, due, labels and labeled of its part of the index; then the sets. ARGV: in the order in which `state.rs` adds them.
local run, runs, due, labels, labeled = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local at = 0
local function argument()
  at = at + 1
  return ARGV[at]
end

-- The most arguments of one call: more would not fit on Lua's stack.
local MOST = 1000
-- How many of the latest changes are noted.
local KEPT = 65536

local id, names = argument(), argument()
local checked, expected, version = {}, {}, {}
for check = 1, tonumber(argument()) do
  checked[check], expected[check] = 'v' .. argument(), argument()
end
for from = 1, #checked, MOST do
  local found = redis.call('HMGET', run, unpack(checked, from, math.min(from + MOST - 1, #checked)))
  for i, known in ipairs(found) do
    local check = from + i - 1
    known = known or '0'
    if not string.match(known, '^%d+$') or #known > 15 then
      return redis.error_reply('FFCORRUPT a version is not a number')
    end
    if expected[check] ~= '*' and known ~= expected[check] then
      return false
    end
    version[checked[check]] = tonumber(known)
  end
end
local fresh = {}
for set = 6, #KEYS do
  fresh[set] = redis.call('HLEN', KEYS[set]) == 0
end
redis.call('ZCARD', runs)
redis.call('ZCARD', due)
redis.call('ZCARD', labels)
redis.call('HLEN', labeled)
-- A run that was begun by a release that noted no changes has none, and neither has one of a release that did not count documents.
local change, documents
if names ~= '' then
  local noted = redis.call('HMGET', run, 'l', 'c')
  change, documents = noted[1], noted[2]
  if not change and redis.call('EXISTS', run) == 0 then
    change, documents = '0', '0'
  end
  change, documents = tonumber(change or ''), tonumber(documents or '')
end
if documents then
  local name = 1
  while name <= #names do
    local colon = string.find(names, ':', name, true)
    local length = tonumber(string.sub(names, name, colon - 1))
    if version['v' .. string.sub(names, colon + 1, colon + length)] == 0 then
      documents = documents + 1
    end
    name = colon + length + 1
  end
end

local versions, arrived, others, fields = {}, {}, {}, {}
for put = 1, tonumber(argument()) do
  local doc, bytes = argument(), argument()
  versions[put] = version['v' .. doc] + 1
  fields[#fields + 1], fields[#fields + 2] = 'd' .. doc, bytes
  fields[#fields + 1], fields[#fields + 2] = 'v' .. doc, string.format('%d', versions[put])
end
if change then
  change = string.format('%d', change + 1)
  fields[#fields + 1], fields[#fields + 2] = 'l', change
  fields[#fields + 1], fields[#fields + 2] = 'l' .. change, names
end
if documents then
  fields[#fields + 1], fields[#fields + 2] = 'c', string.format('%d', documents)
end
for from = 1, #fields, MOST do
  redis.call('HSET', run, unpack(fields, from, math.min(from + MOST - 1, #fields)))
end
if change and tonumber(change) > KEPT then
  redis.call('HDEL', run, string.format('l%d', change - KEPT))
end

local ttl = -2
for arrival = 1, tonumber(argument()) do
  local set, name, member, bytes = tonumber(argument()), argument(), argument(), argument()
  redis.call('HSETNX', KEYS[set], member, bytes)
  if fresh[set] then
    fresh[set] = false
    redis.call('HSET', run, 's' .. name, '')
    ttl = redis.call('PTTL', run)
    if ttl > 0 then
      redis.call('PEXPIRE', KEYS[set], ttl)
    end
  end
  arrived[arrival] = set
end
local size = {}
for arrival, set in ipairs(arrived) do
  size[set] = size[set] or redis.call('HLEN', KEYS[set])
  arrived[arrival] = size[set]
end

local entry = argument()
if entry then
  local started, due_at, expire, indexed, failure = argument(), argument(), argument(), argument(), argument()
  redis.call('HSET', run, 'e', entry)
  if failure == '' then
    redis.call('HDEL', run, 'f')
  else
    redis.call('HSET', run, 'f', failure)
  end
  redis.call('ZADD', runs, started, id)
  label(labels, labeled, id, indexed)
  if due_at == '' then
    redis.call('ZREM', due, id)
  else
    redis.call('ZADD', due, due_at, id)
  end
  if expire ~= '0' or redis.call('PTTL', run) > 0 then
    for _, field in ipairs(redis.call('HKEYS', run)) do
      if string.sub(field, 1, 1) == 's' then
        others[#others + 1] = string.sub(field, 2)
      end
    end
    -- Sets are keys of their own, which a script may only use if the caller has named them. So with sets, the caller makes
    -- the keys expire in a second step.
    if #others == 0 then
      if expire == '0' then
        redis.call('PERSIST', run)
      else
        redis.call('PEXPIREAT', run, expire)
      end
    end
  end
end
return { versions, arrived, others }
