-- KEYS stream stats leases checkpoints   ARGV group consumer limit own_lease_ms pause_ms expected_ms slack_ms
-- Takes over up to `limit` entries whose lease has expired: {now_ms, {{id, fields, deliveries}...}, vanished, whether the queue is ordered}.
-- One pool scans once per pause, however many workers ask, and goes on where the last scan ended. Who does not know what
-- the clock should show (expected_ms below 0) learns it, and takes over nothing yet: leases may only seem to have expired.
local stream, stats, leases = KEYS[1], KEYS[2], KEYS[3]
local group, consumer, limit, lease = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local now = now_ms()
local q = queue(stream, stats, group)
local order = ordered(q) and 1 or 0
local expected = tonumber(ARGV[6])
if expected < 0 then return {now, {}, 0, order} end
watch_clock(q, leases, now, expected, tonumber(ARGV[7]), lease)
local scanned = tonumber(redis.call('HGET', stats, 'scanned:' .. group) or '0')
if now - scanned < tonumber(ARGV[5]) and now >= scanned then return {now, {}, 0, order} end
if redis.call('EXISTS', stream) == 0 then return {now, {}, 0, order} end

redis.call('HSET', leases, whole(lease), whole(now))
lease = lease_in_force(leases, now, lease)

local cursor = redis.call('HGET', stats, 'cursor:' .. group) or '0-0'
local found, vanished = {}, 0
for _ = 1, 50 do
  local reply = redis.pcall('XAUTOCLAIM', stream, group, consumer, whole(lease), cursor, 'COUNT', limit - #found)
  if reply.err then
    if string.find(reply.err, 'NOGROUP', 1, true) then return {now, {}, 0, order} end
    error(reply)
  end
  cursor = reply[1]
  for _, entry in ipairs(reply[2]) do
    local pending = redis.call('XPENDING', stream, group, entry[1], entry[1], 1, consumer)[1]
    found[#found + 1] = {entry[1], with_checkpoint(KEYS[4], entry[1], entry[2]), pending[4]}
  end
  for _, id in ipairs(reply[3] or {}) do
    vanished = vanished + 1
    redis.call('HDEL', KEYS[4], id)
    release_entry(q, id)
  end
  if cursor == '0-0' or #found >= limit then break end
end
redis.call('HSET', stats, 'cursor:' .. group, cursor)
-- A full catch may not be all of it: the next one who asks need not wait.
if #found < limit then redis.call('HSET', stats, 'scanned:' .. group, whole(now)) end
return {now, found, vanished, order}
