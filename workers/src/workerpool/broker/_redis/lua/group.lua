-- KEYS stream   ARGV group   At the stream's beginning: jobs that came before the first worker are not missed.
local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
if made.err and string.sub(made.err, 1, 9) ~= 'BUSYGROUP' then return made end
return 1
