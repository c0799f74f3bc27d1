-- KEYS stream stats   ARGV group consumer limit (0: only wake somebody) high_ms normal_ms low_ms type...
-- Feeds the stream for this consumer and reads in one step, so that nobody takes what was chosen for it: {now_ms, entries,
-- in how many ms a tenant that is at its limit may have room, -1 where there is none, {expired, shed}}.
-- Jobs of these types are left in the backlog, or go back there: there is no room for them.
-- Then one job more is fed where one can run: it wakes a consumer that waits in a blocking read, who comes for more.
local q, limit = queue(KEYS[1], KEYS[2], ARGV[1]), tonumber(ARGV[3])
local entries = {}
weed(q, ARGV[2], 4)
for i = 7, #ARGV do q.without[ARGV[i]] = true end

local function read(count)
  local reply = redis.pcall('XREADGROUP', 'GROUP', q.group, ARGV[2], 'COUNT', count, 'STREAMS', q.stream, '>')
  if reply and reply.err then
    return not string.find(reply.err, 'NOGROUP', 1, true) and reply
  end
  for _, entry in ipairs(reply and reply[1][2] or {}) do
    local job = to_map(entry[2])
    if job.type and q.without[job.type] and ordered(q) then
      job.id, job.due = job.id or entry[1], job.due or string.match(entry[1], '^%d+')
      put_back(q, entry[1], job)
      redis.call('XACK', q.stream, q.group, entry[1])
    else
      entries[#entries + 1] = entry
    end
  end
end

if limit > 0 then
  -- What is on the stream already was chosen for anybody.
  local refused = next(q.without) and read(limit)
  if refused then return refused end
  if #entries < limit then
    feed(q, limit - #entries)
    refused = read(limit - #entries)
    if refused then return refused end
  end
end
feed(q, 1)
local now, look_at = now_ms(), redis.call('ZRANGE', q.base .. 'look', 0, 0, 'WITHSCORES')[2]
local again = look_at and math.max(0, tonumber(look_at) - now) or -1
return {now, entries, q.more and 0 or again, buried(q)}
