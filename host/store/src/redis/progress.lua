-- Returns the name, version and bytes of each document of a run that holds no data, one after the other. KEYS: the run. ARGV: how
-- the names of those begin that hold data.

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
return read(KEYS[1], fields, {})
