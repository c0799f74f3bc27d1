-- KEYS value lock   ARGV token text ttl_ms cost_ms
-- Keeps the value and lets the lock go, if the lock is still this token's: 1 or 0.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'text', ARGV[2], 'cost_ms', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('DEL', KEYS[2])
return 1
