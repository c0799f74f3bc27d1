-- KEYS stream leases   ARGV group consumer lease_ms {id delay_ms attempts}...   Returns the ids that are not ours.
-- For a Redis that is full: writes nothing that takes memory. The entries stay in flight, and their leases end after the
-- delay, or after one lease where that is shorter: who takes them over finds the attempts counted.
local own = owned_by(KEYS[1], ARGV[1], ARGV[2])
local lease, lost = lease_in_force(KEYS[2], now_ms(), tonumber(ARGV[3])), {}
for i = 4, #ARGV, 3 do
  local id = ARGV[i]
  local flat = own[id] and fields_of(KEYS[1], id)
  if flat then
    local before = tonumber(to_map(flat).attempt) or 0
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id,
      'IDLE', whole(math.max(0, lease - tonumber(ARGV[i + 1]))),
      'RETRYCOUNT', whole(math.max(0, tonumber(ARGV[i + 2]) - before)), 'JUSTID')
  else
    lost[#lost + 1] = id
  end
end
return lost
