-- KEYS value lock   ARGV token lock_ms early
-- {'value', text}: it is there. {'fill'}: it is not, and the lock is this token's now. {'refresh', text}: it is there,
-- will soon be gone, and the lock is this token's now. {'failed', text}: a moment ago a filler failed. {'wait'}: another
-- one is at it.
local found = redis.call('HMGET', KEYS[1], 'text', 'cost_ms')
if found[1] and redis.call('PTTL', KEYS[1]) > tonumber(ARGV[3]) * tonumber(found[2]) then
  return {'value', found[1]}
end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then
  return {found[1] and 'refresh' or 'fill', found[1]}
end
if found[1] then return {'value', found[1]} end
local holder = redis.call('GET', KEYS[2])
if string.sub(holder, 1, 1) == '!' then return {'failed', string.sub(holder, 2)} end
return {'wait'}
