-- KEYS stats   ARGV candidate   What tells this queue from every other one; the candidate if nothing does so far.
local identity = redis.call('HGET', KEYS[1], 'identity')
if not identity then
  redis.call('HSET', KEYS[1], 'identity', ARGV[1])
  identity = ARGV[1]
end
return identity
