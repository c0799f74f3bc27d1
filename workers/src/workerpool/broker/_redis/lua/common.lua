-- Shared by all scripts: scripts.py puts it before each of them, and after it what else the script calls, as one text.
-- Redis runs a script whole, so each is one atomic move.

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function whole(number)
  return string.format('%.0f', number)
end

local function to_map(flat)
  local map = {}
  for i = 1, #flat, 2 do map[flat[i]] = flat[i + 1] end
  return map
end

local function to_flat(map)
  local flat = {}
  for field, value in pairs(map) do
    flat[#flat + 1] = field
    flat[#flat + 1] = value
  end
  return flat
end

-- A stream entry of any origin may have more fields than a Lua call takes arguments: of those that are not ours, some of
-- 2,000 and more are lost.
local OURS = {
  'type', 'payload', 'id', 'attempt', 'due', 'tenant', 'priority', 'key', 'traceparent', 'tracestate', 'expires', 'serial',
  'checkpoint', 'begun', 'redelivered',
}
local function capped(flat)
  if #flat <= 4000 then return unpack(flat) end
  local rest, first = to_map(flat), {}
  for _, field in ipairs(OURS) do
    if rest[field] then
      first[#first + 1] = field
      first[#first + 1] = rest[field]
      rest[field] = nil
    end
  end
  for _, value in ipairs(to_flat(rest)) do first[#first + 1] = value end
  return unpack(first, 1, 4000)
end

-- A job among the delayed ones. Those that are due in one millisecond come in the order of their text, so it begins with
-- the serial: jobs of one ordering key that were put together run in the order of their numbers.
local function delayed_member(job)
  local serial = cjson.encode(job.serial)
  job.serial = nil
  return '{"serial":' .. serial .. ',' .. string.sub(cjson.encode(job), 2)
end

-- What this consumer owns, as a set of entry ids. No stream or no group: nothing.
local function owned_by(stream, group, consumer)
  local own = {}
  local reply = redis.pcall('XPENDING', stream, group, '-', '+', 1000000, consumer)
  if reply.err then
    if string.find(reply.err, 'NOGROUP', 1, true) then return own end
    error(reply)
  end
  for _, entry in ipairs(reply) do own[entry[1]] = true end
  return own
end

local function fields_of(stream, id)
  local entry = redis.call('XRANGE', stream, id, id)[1]
  return entry and entry[2]
end

-- The lease that counts is the largest that any live worker announces: a version with a short one must not rob a
-- version with a long one. An announcement older than its own lease is of a worker whose jobs have all expired.
local function lease_in_force(leases, now, least)
  for length, announced in pairs(to_map(redis.call('HGETALL', leases))) do
    if now - tonumber(announced) > tonumber(length) then
      redis.call('HDEL', leases, length)
    else
      least = math.max(least, tonumber(length))
    end
  end
  return least
end

-- A checkpoint lies beside the stream while its job is in flight: an entry cannot be changed. Where the job is written
-- anew, or given to somebody, it is one of its fields. Whose job has one, be it empty, had begun.
local function with_checkpoint(checkpoints, id, flat)
  local state = redis.call('HGET', checkpoints, id)
  if state and state ~= '' then
    flat[#flat + 1] = 'checkpoint'
    flat[#flat + 1] = state
  end
  if state then
    flat[#flat + 1] = 'begun'
    flat[#flat + 1] = '1'
  end
  return flat
end

-- Entries after `last`, counted one by one; false when there are more than is decent to count.
local function count_after(stream, last)
  local from, count = '(' .. last, 0
  for _ = 1, 20 do
    local page = redis.call('XRANGE', stream, from, '+', 'COUNT', 500)
    count = count + #page
    if #page < 500 then return count end
    from = '(' .. page[#page][1]
  end
  return false
end

-- What Redis knows of the group; nil when there is none.
local function group_of(stream, group)
  if redis.call('EXISTS', stream) == 0 then return nil end
  for _, flat in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local info = to_map(flat)
    if info['name'] == group then return info end
  end
  return nil
end

-- What the group has still to be given: {count or false, first such entry or nil, pending}.
-- `lag` is nil after an XDEL, and counts what others trimmed away unread: the entries themselves decide on zero.
local function undelivered(stream, group)
  local info = group_of(stream, group)
  if not info then -- workers make it at the stream's beginning
    return redis.call('XLEN', stream), redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1], 0
  end
  if info['lag'] == nil then return error({err = 'VERSION this needs Redis 7.0 or newer'}) end
  local last = info['last-delivered-id']
  local first = redis.call('XRANGE', stream, '(' .. last, '+', 'COUNT', 1)[1]
  local count = 0
  if first then count = info['lag'] or count_after(stream, last) end
  return count, first, info['pending']
end
