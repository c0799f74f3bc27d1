-- KEYS stream checkpoints stats   ARGV group consumer id...   Returns the ids that are not ours any more.
local own = owned_by(KEYS[1], ARGV[1], ARGV[2])
local done, lost = {}, {}
for i = 3, #ARGV do
  local list = own[ARGV[i]] and done or lost
  list[#list + 1] = ARGV[i]
end
if #done > 0 then
  redis.call('XACK', KEYS[1], ARGV[1], unpack(done))
  redis.call('HDEL', KEYS[2], unpack(done))
  local q = queue(KEYS[1], KEYS[3], ARGV[1])
  if ordered(q) then
    for _, id in ipairs(done) do release_entry(q, id) end
    feed(q, 1)
  end
end
return lost
