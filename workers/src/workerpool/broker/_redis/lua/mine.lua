-- KEYS stream checkpoints stats   ARGV group consumer
-- Everything that this consumer owns: {{id, fields, deliveries}...}. Asked after a read whose answer was lost.
local found = {}
local reply = redis.pcall('XPENDING', KEYS[1], ARGV[1], '-', '+', 1000000, ARGV[2])
if reply.err then
  if string.find(reply.err, 'NOGROUP', 1, true) then return found end
  error(reply)
end
for _, entry in ipairs(reply) do
  local fields = fields_of(KEYS[1], entry[1])
  if fields then
    found[#found + 1] = {entry[1], with_checkpoint(KEYS[2], entry[1], fields), entry[4]}
  else
    redis.call('XACK', KEYS[1], ARGV[1], entry[1])
    redis.call('HDEL', KEYS[2], entry[1])
    release_entry(queue(KEYS[1], KEYS[3], ARGV[1]), entry[1])
  end
end
return found
