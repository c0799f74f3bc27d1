-- KEYS lock   ARGV token error_ms text
-- Lets this token's lock go; with an error_ms above 0 the next ones are told the error for so long.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if tonumber(ARGV[2]) > 0 then
  redis.call('SET', KEYS[1], '!' .. ARGV[3], 'PX', ARGV[2])
else
  redis.call('DEL', KEYS[1])
end
return 1
