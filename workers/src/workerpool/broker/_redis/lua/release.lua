-- KEYS stream leases checkpoints   ARGV group consumer lease_ms {id delay_ms attempts begun}...
-- Returns the ids that are not ours. For a Redis that is full: writes next to nothing. The entries stay in flight, and
-- their leases end after the delay, or after one lease where that is shorter: who takes them over finds the attempts
-- counted, and an empty checkpoint where one had begun.
local own = owned_by(KEYS[1], ARGV[1], ARGV[2])
local lease, lost = lease_in_force(KEYS[2], now_ms(), tonumber(ARGV[3])), {}
for i = 4, #ARGV, 4 do
  local id = ARGV[i]
  local flat = own[id] and fields_of(KEYS[1], id)
  if flat then
    local before = tonumber(to_map(flat).attempt) or 0
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id,
      'IDLE', whole(math.max(0, lease - tonumber(ARGV[i + 1]))),
      'RETRYCOUNT', whole(math.max(0, tonumber(ARGV[i + 2]) - before)), 'JUSTID')
    if ARGV[i + 3] == '1' then redis.call('HSETNX', KEYS[3], id, '') end
  else
    lost[#lost + 1] = id
  end
end
return lost
