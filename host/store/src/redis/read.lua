-- Reading documents of a run.

-- The most arguments of one call: more would not fit on Lua's stack.
local MOST = 1000

-- Adds to `found` the name, version and bytes of each document, of which `fields` has the fields of version and bytes.
local function read(run, fields, found)
  for from = 1, #fields, MOST do
    local values = redis.call('HMGET', run, unpack(fields, from, math.min(from + MOST - 1, #fields)))
    for at = 1, #values, 2 do
      found[#found + 1] = string.sub(fields[from + at - 1], 2)
      found[#found + 1], found[#found + 2] = values[at], values[at + 1]
    end
  end
  return found
end

