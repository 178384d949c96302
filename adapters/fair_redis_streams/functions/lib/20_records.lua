-- Refs and records.
--
-- ref: '<id>:<customer>'. record of a living message: '<attempts>:<cost>:<envelope>', where attempts counts
-- the current lease too. record of a dead letter: '<attempts>:<cost>:<kind>:<length>:<reason><envelope>',
-- kind e for an envelope, r for raw bytes that somebody else has put into a stream.
local function ref_of(id, customer)
  return id .. ':' .. customer
end

local function split_ref(ref)
  local colon = string.find(ref, ':', 1, true)
  return string.sub(ref, 1, colon - 1), string.sub(ref, colon + 1)
end

-- Returns attempts, cost and envelope; attempts is nil for something that is no record.
local function split_record(record)
  local attempts, cost, start = string.match(record, '^(%d+):(%d+):()')
  if not attempts then return nil end
  return tonumber(attempts), tonumber(cost), string.sub(record, start)
end

local function record_of(attempts, cost, envelope)
  return string.format('%d:%d:', attempts, cost) .. envelope
end

-- Splits a stream entry's fields: envelope, cost, original id of a redriven message.
-- The envelope is nil for an entry that is not ours.
local function split_fields(fields)
  if #fields == 2 and fields[1] == 'm' then return fields[2], 1 end
  local entry = {}
  for i = 1, #fields, 2 do entry[fields[i]] = fields[i + 1] end
  local cost = tonumber(entry.c or 1)
  if not entry.m or not cost or cost < 1 or cost ~= math.floor(cost) then return nil end
  return entry.m, cost, entry.i
end

local function raw_text(fields)
  local parts = {}
  for i = 1, #fields, 2 do parts[#parts + 1] = fields[i] .. '=' .. fields[i + 1] end
  return table.concat(parts, '\n')
end
