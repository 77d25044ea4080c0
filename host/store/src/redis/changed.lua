-- Returns documents of a run that hold no data: after the number with which to go on, that of the latest change that was noted
-- (-1 if changes are not noted), and how many such documents there are (-1 if that is not noted), the name, version and bytes of each.
-- Either some documents in no order, from a cursor on (ARGV[1]), or all of them (ARGV[1] is `all`); or, if there is no cursor, those that
-- have changed since the change of a number (ARGV[2]). Returns nothing if what has changed since then is not known. KEYS: the run. ARGV: then how many fields to look at, and how the names of documents begin that hold data.

local cursor, since, count = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local noted = redis.call('HMGET', KEYS[1], 'l', 'c')
local latest, known = tonumber(noted[1] or '-1'), tonumber(noted[2] or '-1')
local docs, fields = {}, {}

local function add(doc)
  for at = 4, #ARGV do
    if string.sub(doc, 1, #ARGV[at]) == ARGV[at] then
      return
    end
  end
  if not docs[doc] then
    docs[doc] = true
    fields[#fields + 1], fields[#fields + 2] = 'v' .. doc, 'd' .. doc
  end
end

local next
if cursor == 'all' then
  next = '0'
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if string.sub(field, 1, 1) == 'd' then
      add(string.sub(field, 2))
    end
  end
elseif cursor ~= '' then
  local scanned = redis.call('HSCAN', KEYS[1], cursor, 'COUNT', count)
  next = scanned[1]
  for at = 1, #scanned[2], 2 do
    local field = scanned[2][at]
    if string.sub(field, 1, 1) == 'd' then
      add(string.sub(field, 2))
    end
  end
else
  if latest < since then
    return false
  end
  local last = since
  while last < latest and #fields < count do
    last = last + 1
    local change = redis.call('HGET', KEYS[1], string.format('l%d', last))
    -- The oldest changes are forgotten.
    if not change then
      return false
    end
    local at = 1
    while at <= #change do
      local colon = string.find(change, ':', at, true)
      local length = tonumber(string.sub(change, at, colon - 1))
      add(string.sub(change, colon + 1, colon + length))
      at = colon + length + 1
    end
  end
  next = string.format('%d', last)
end

local found = { next, string.format('%d', latest), string.format('%d', known) }
return read(KEYS[1], fields, found)
