-- KEYS stream delayed dead stats leases   ARGV group lease_ms forget_ms limits
-- Makes delayed jobs due, trims what every group has finished, forgets consumers that died with nothing in hand.
-- Returns {now_ms, when the next delayed job is due or -1, whether the queue is ordered}.
local stream, delayed, dead, stats, leases = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local group, forget = ARGV[1], tonumber(ARGV[3])
local now = now_ms()
local q = queue(stream, stats, group)
redis.call('HSET', leases, ARGV[2], whole(now))
announce(q, ARGV[4])

local function make_due(member, due)
  local ok, job = pcall(cjson.decode, member)
  local good = ok and type(job) == 'table'
  if good then
    for field, value in pairs(job) do
      if type(field) ~= 'string' or (type(value) ~= 'string' and type(value) ~= 'number') then good = false end
    end
    good = good and next(job) ~= nil
  end
  if not good then
    redis.call('XADD', dead, '*', 'dead.reason', 'malformed', 'dead.attempts', '0', 'dead.at', whole(now),
      'dead.error', 'a delayed job must be a JSON object of strings', 'member', member)
    return
  end
  job.due = due
  let_wait(q, job, (tonumber(job.attempt) or 0) == 0) -- a job that was tried before has arrived before
end

local due = redis.call('ZRANGEBYSCORE', delayed, '-inf', whole(now), 'WITHSCORES', 'LIMIT', 0, 200)
for i = 1, #due, 2 do
  redis.call('ZREM', delayed, due[i])
  make_due(due[i], string.match(due[i + 1], '^%d+') or whole(now))
end

-- The id before which no group needs anything. XTRIM and not XDEL: a deleted entry makes `lag` unknown.
local function finished(groups)
  local oldest = nil
  for _, flat in ipairs(groups) do
    local info = to_map(flat)
    local id = info['last-delivered-id']
    if info['pending'] > 0 then id = redis.call('XPENDING', stream, info['name'])[2] end
    local ms, seq = string.match(id, '^(%d+)-(%d+)$')
    ms, seq = tonumber(ms), tonumber(seq)
    if not oldest or ms < oldest[1] or (ms == oldest[1] and seq < oldest[2]) then oldest = {ms, seq, id} end
  end
  return oldest and oldest[3]
end

local kept = tonumber(redis.call('HGET', stats, 'kept') or '0')
if (now - kept >= 1000 or now < kept) and redis.call('EXISTS', stream) == 1 then
  redis.call('HSET', stats, 'kept', whole(now))
  local before = finished(redis.call('XINFO', 'GROUPS', stream))
  -- Not the default limit of 10,000: a pool may finish more than that in a second.
  if before and before ~= '0-0' then redis.call('XTRIM', stream, 'MINID', '~', before, 'LIMIT', '100000') end
end

local order = ordered(q)
if order then
  if now - kept >= 1000 or now < kept then tidy(q) end
  feed(q, 1)
end

local swept = tonumber(redis.call('HGET', stats, 'swept:' .. group) or '0')
if now - swept >= 60000 or now < swept then
  redis.call('HSET', stats, 'swept:' .. group, whole(now))
  local consumers = redis.pcall('XINFO', 'CONSUMERS', stream, group)
  if not consumers.err then
    for _, flat in ipairs(consumers) do
      local info = to_map(flat)
      if info['pending'] == 0 and info['idle'] > forget then
        redis.call('XGROUP', 'DELCONSUMER', stream, group, info['name'])
      end
    end
  end
end

local next_due = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')[2]
return {now, next_due and tonumber(next_due) or -1, order and 1 or 0}
