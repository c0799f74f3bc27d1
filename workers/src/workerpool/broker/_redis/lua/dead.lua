-- KEYS stream dead checkpoints stats   ARGV group consumer
--   {id reason attempts error traceback version worker}...
-- Returns the ids that are not ours. What was on the stream is kept as it was, ours is added as `dead.*`.
local own = owned_by(KEYS[1], ARGV[1], ARGV[2])
local q, now, lost = queue(KEYS[1], KEYS[4], ARGV[1]), whole(now_ms()), {}
local order = ordered(q)
for i = 3, #ARGV, 7 do
  local id = ARGV[i]
  local flat = own[id] and fields_of(KEYS[1], id)
  if flat then
    redis.call('XADD', KEYS[2], '*',
      'dead.reason', ARGV[i + 1], 'dead.attempts', ARGV[i + 2], 'dead.error', ARGV[i + 3],
      'dead.traceback', ARGV[i + 4], 'dead.version', ARGV[i + 5], 'dead.worker', ARGV[i + 6],
      'dead.entry', id, 'dead.at', now, capped(flat))
    redis.call('XACK', KEYS[1], ARGV[1], id)
    redis.call('HDEL', KEYS[3], id)
    if order then release_entry(q, id) end
  else
    lost[#lost + 1] = id
  end
end
if order then feed(q, 1) end
return lost
