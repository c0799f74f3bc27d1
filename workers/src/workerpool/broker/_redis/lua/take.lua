-- KEYS stream stats   ARGV group consumer limit (0: only wake somebody) high_ms normal_ms low_ms
-- Feeds the stream for this consumer and reads in one step, so that nobody takes what was chosen for it: {now_ms, entries,
-- in how many ms a tenant that is at its limit may have room, -1 where there is none, {expired, shed}}.
-- Then one job more is fed where one can run: it wakes a consumer that waits in a blocking read, who comes for more.
local q, limit = queue(KEYS[1], KEYS[2], ARGV[1]), tonumber(ARGV[3])
local entries = {}
weed(q, ARGV[2], 4)
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
local now, look_at = now_ms(), redis.call('ZRANGE', q.base .. 'look', 0, 0, 'WITHSCORES')[2]
local again = look_at and math.max(0, tonumber(look_at) - now) or -1
return {now, entries, q.more and 0 or again, buried(q)}
