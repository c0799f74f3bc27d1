-- KEYS stream stats   ARGV group consumer most high_ms normal_ms low_ms
-- Moves those at the front of what nobody has taken that are not to be run to the dead letters, at most so many:
-- {expired, shed}. Read before it is given, so that what may run stays where it is.
local q = queue(KEYS[1], KEYS[2], ARGV[1])
weed(q, ARGV[2], 4)
local group = group_of(q.stream, q.group)
if not group then return {0, 0} end
local now, count, reasons = now_ms(), 0, {}
for _, entry in ipairs(redis.call('XRANGE', q.stream, '(' .. group['last-delivered-id'], '+', 'COUNT', ARGV[3])) do
  local job = to_map(entry[2])
  reasons[count + 1] = spoiled(q, class_of(job), job, job.due or string.match(entry[1], '^%d+'), now)
  if not reasons[count + 1] then break end
  count = count + 1
end
if count == 0 then return {0, 0} end
local reply = redis.call('XREADGROUP', 'GROUP', q.group, ARGV[2], 'COUNT', count, 'STREAMS', q.stream, '>')
local order = ordered(q)
for i, entry in ipairs(reply[1][2]) do
  bury(q, to_map(entry[2]), reasons[i], entry[1])
  redis.call('XACK', q.stream, q.group, entry[1])
  if order then release_entry(q, entry[1]) end
end
if order then feed(q, 1) end
return buried(q)
