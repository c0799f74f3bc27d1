-- KEYS bucket   ARGV count rate burst
-- Draws up to `count` tokens: {granted, seconds until the missing ones are there, as text}. The rules are those of
-- broker/_bucket.py; a count below 0 gives back. A bucket that is full again is forgotten: one that is not there is full.
local count, rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local t = redis.call('TIME')
local now, there = t[1] * 1000000 + t[2], burst
local level = redis.call('GET', KEYS[1])
if level then
  local tokens, at = string.match(level, '^(%S+) (%S+)$')
  there = math.min(burst, tonumber(tokens) + math.max(0, now - tonumber(at)) / 1000000 * rate)
end
local granted = math.min(count, math.floor(there))
local left, missing = math.min(burst, there - granted), count - granted
local wait = missing > 0 and math.max(0, math.min(missing, burst) - left) / rate or 0
local full_ms = math.ceil((burst - left) / rate * 1000) + 1000
redis.call('SET', KEYS[1], string.format('%.17g %.0f', left, now), 'PX', whole(full_ms))
return {granted, string.format('%.6f', wait)}
