-- KEYS stream checkpoints   ARGV group consumer id state   Returns 1, or 0 when the entry is not ours any more.
local mine = redis.pcall('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2])
if mine.err or #mine == 0 then return 0 end
redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
return 1
