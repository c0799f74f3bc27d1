-- KEYS stream   ARGV group consumer   Forgets the consumer unless it owns something: returns what it owns.
-- Redis drops a consumer's pending entries with it, so each of them would be a lost job.
local reply = redis.pcall('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2])
if reply.err then return 0 end
if #reply == 0 then redis.pcall('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2]) end
return #reply
