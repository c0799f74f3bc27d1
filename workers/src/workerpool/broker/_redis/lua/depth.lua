-- KEYS stream delayed dead stats   ARGV group
-- {waiting or false, in flight, delayed, oldest age in ms, arrivals, dead letters, waiting for their ordering key or
-- for their tenant's limit, id of the last entry ever}, all of one moment.
local stream, delayed, stats = KEYS[1], KEYS[2], KEYS[4]
local now = now_ms()
local count, first, pending = undelivered(stream, ARGV[1])
local due = redis.call('ZCOUNT', delayed, '-inf', whole(now))
local since = now
if first then
  since = tonumber(to_map(first[2]).due) or tonumber(string.match(first[1], '^%d+'))
end
if due > 0 then
  since = math.min(since, tonumber(redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')[2]))
end
local admitted, queued, blocked = 0, 0, 0
local q = queue(stream, stats, ARGV[1])
if ordered(q) then
  local base = string.sub(stats, 1, -6)
  queued, blocked = redis.call('HLEN', base .. 'backlog'), redis.call('ZCARD', base .. 'blocked')
  admitted = tonumber(redis.call('HGET', stats, 'admitted') or '0')
  local lines = {'due:high', 'due:normal', 'due:low', 'blocked'}
  for _, place in ipairs(redis.call('ZRANGE', base .. 'aside', 0, -1)) do lines[#lines + 1] = 'due:' .. place end
  for _, name in ipairs(lines) do
    local oldest = redis.call('ZRANGE', base .. name, 0, 0, 'WITHSCORES')[2]
    if oldest then since = math.min(since, tonumber(oldest)) end
  end
  local stopped, oldest = at_limit(q)
  blocked, since = blocked + stopped, math.min(since, oldest or since)
end
local added, last = 0, '0-0'
if redis.call('EXISTS', stream) == 1 then
  local info = to_map(redis.call('XINFO', 'STREAM', stream))
  added, last = info['entries-added'], info['last-generated-id']
end
local requeued = tonumber(redis.call('HGET', stats, 'requeued') or '0')
return {
  count and count + due + queued, pending, redis.call('ZCARD', delayed) - due, math.max(0, now - since),
  math.max(0, added - requeued + admitted), redis.call('XLEN', KEYS[3]), blocked, last,
}
