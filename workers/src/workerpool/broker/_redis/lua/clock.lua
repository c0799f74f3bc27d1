-- Redis measures leases and waits by its wall clock. Who calls knows what that should show, by a clock that nobody sets:
-- where it shows something else, it was set, or another server with a clock of its own has taken over. Set forward, all
-- that runs would be taken over at once; set back, what the dead left behind would come as late as it was set back.
-- Expects before it: common.lua; order.lua (its `q`).

-- The lease of whatever is in flight begins now, for whoever holds it: the living extend theirs long before it ends.
local function begin_leases(q)
  local reply = redis.pcall('XPENDING', q.stream, q.group, '-', '+', 1000000)
  if reply.err then return end -- no group: nothing is in flight
  local owned = {}
  for _, entry in ipairs(reply) do
    owned[entry[2]] = owned[entry[2]] or {}
    table.insert(owned[entry[2]], entry[1])
  end
  for consumer, ids in pairs(owned) do
    for from = 1, #ids, 1000 do
      local some = {unpack(ids, from, math.min(#ids, from + 999))}
      some[#some + 1] = 'JUSTID' -- keeps the delivery count
      redis.call('XCLAIM', q.stream, q.group, consumer, 0, unpack(some))
    end
  end
end

-- Look at the clock, before anything is decided by it. `expected`: unix ms; below 0: the caller does not know. One that
-- was held up takes its own delay for a jump: so this is not done again for 10 leases, unless it was set by more.
local function watch_clock(q, leases, now, expected, slack, lease)
  if expected < 0 or math.abs(now - expected) <= slack then return end
  local noted = 'clock_set:' .. q.group
  local before = tonumber(redis.call('HGET', q.stats, noted) or '0')
  if now >= before and now - before < 10 * lease then return end
  redis.call('HSET', q.stats, noted, whole(now))
  begin_leases(q)
  for _, length in ipairs(redis.call('HKEYS', leases)) do redis.call('HSET', leases, length, whole(now)) end
  redis.call('HDEL', q.stats, 'oldest', 'oldest:since')
  redis.call('ZUNIONSTORE', q.base .. 'look', 1, q.base .. 'look', 'WEIGHTS', '0') -- tenants may have room by now
end
