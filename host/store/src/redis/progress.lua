-- Returns the name, version and bytes of each document of a run that holds no data, one after the other. KEYS: the run. ARGV: how
-- the names of those begin that hold data.

-- The most arguments of one call: more would not fit on Lua's stack.
local MOST = 1000

local function holds_data(doc)
  for _, beginning in ipairs(ARGV) do
    if string.sub(doc, 1, #beginning) == beginning then
      return true
    end
  end
  return false
end

local docs, fields = {}, {}
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  local kind, doc = string.sub(field, 1, 1), string.sub(field, 2)
  if (kind == 'd' or kind == 'v') and not holds_data(doc) then
    if not docs[doc] then
      docs[doc] = true
      fields[#fields + 1], fields[#fields + 2] = 'v' .. doc, 'd' .. doc
    end
  end
end
local found = {}
for from = 1, #fields, MOST do
  local values = redis.call('HMGET', KEYS[1], unpack(fields, from, math.min(from + MOST - 1, #fields)))
  for at = 1, #values, 2 do
    found[#found + 1] = string.sub(fields[from + at - 1], 2)
    found[#found + 1], found[#found + 2] = values[at], values[at + 1]
  end
end
return found
