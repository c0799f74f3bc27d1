-- KEYS stream leases   ARGV group consumer lease_ms id...   Returns the ids that are not ours any more.
-- The lease is announced in the same step: an announcement is never older than the leases that rest on it.
redis.call('HSET', KEYS[2], ARGV[3], whole(now_ms()))
local own = owned_by(KEYS[1], ARGV[1], ARGV[2])
local ours, lost = {}, {}
for i = 4, #ARGV do
  local list = own[ARGV[i]] and ours or lost
  list[#list + 1] = ARGV[i]
end
if #ours > 0 then
  ours[#ours + 1] = 'JUSTID' -- keeps the delivery count
  redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, unpack(ours))
end
return lost
