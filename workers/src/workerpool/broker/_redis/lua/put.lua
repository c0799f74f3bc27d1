-- KEYS stream delayed stats job_prefix   ARGV group max_depth(-1: none) dedupe_ms {id delay_ms type payload}...
-- Returns how many of the jobs, from the first, were put (or dropped as duplicates).
local stream, delayed, stats = KEYS[1], KEYS[2], KEYS[3]
local group, max_depth, dedupe_ms = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local now = now_ms()
local room = math.huge
if max_depth >= 0 then
  local waiting = undelivered(stream, group) or math.huge
  room = max_depth - waiting - redis.call('ZCOUNT', delayed, '-inf', whole(now))
end
local put = 0
for i = 4, #ARGV, 4 do
  local id, delay, type, payload = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2], ARGV[i + 3]
  local known = id ~= '' and redis.call('EXISTS', KEYS[4] .. id) == 1
  if not known then
    if room <= 0 then break end
    room = room - 1
    if id ~= '' then redis.call('SET', KEYS[4] .. id, 1, 'PX', dedupe_ms) end
    if delay > 0 then
      local serial = whole(redis.call('HINCRBY', stats, 'serial', 1))
      if id == '' then id = whole(now) .. '-d' .. serial end
      local member = cjson.encode({id = id, type = type, payload = payload, serial = serial})
      redis.call('ZADD', delayed, whole(now + delay), member)
    elseif id == '' then
      redis.call('XADD', stream, '*', 'type', type, 'payload', payload)
    else
      redis.call('XADD', stream, '*', 'type', type, 'payload', payload, 'id', id)
    end
  end
  put = put + 1
end
return put
