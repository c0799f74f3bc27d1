-- KEYS stream stats   ARGV group consumer limit (0: only wake somebody)
-- Feeds the stream for this consumer and reads in one step, so that nobody takes what was chosen for it: {now_ms, entries}.
-- Then one job more is fed where one can run: it wakes a consumer that waits in a blocking read, who comes for more.
local q, limit = queue(KEYS[1], KEYS[2], ARGV[1]), tonumber(ARGV[3])
local entries = {}
if limit > 0 then
  feed(q, limit)
  local reply = redis.pcall('XREADGROUP', 'GROUP', q.group, ARGV[2], 'COUNT', limit, 'STREAMS', q.stream, '>')
  if reply and reply.err then
    if not string.find(reply.err, 'NOGROUP', 1, true) then return reply end
  elseif reply then
    entries = reply[1][2]
  end
end
feed(q, 1)
return {now_ms(), entries}
