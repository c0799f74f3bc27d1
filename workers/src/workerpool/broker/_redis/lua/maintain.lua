-- KEYS stream delayed dead stats leases   ARGV group lease_ms forget_ms limits expected_ms slack_ms
-- Makes delayed jobs due, trims what every group has finished, forgets consumers that died with nothing in hand.
-- Returns {now_ms, when the next delayed job is due, or there is more to delete, or -1, whether the queue is ordered}.
local stream, delayed, dead, stats, leases = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local group, forget = ARGV[1], tonumber(ARGV[3])
local now = now_ms()
local q = queue(stream, stats, group)
watch_clock(q, leases, now, tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[2]))
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

local function later(one, other)
  local ms, seq = string.match(one, '^(%d+)-(%d+)$')
  local other_ms, other_seq = string.match(other, '^(%d+)-(%d+)$')
  if ms ~= other_ms then return tonumber(ms) > tonumber(other_ms) end
  return tonumber(seq) > tonumber(other_seq)
end

-- The id before which no group needs anything, and the one up to which every group was given all.
local function finished(groups)
  local oldest, given = nil, nil
  for _, info in ipairs(groups) do
    local id = info['last-delivered-id']
    if not given or later(given, id) then given = id end
    if info['pending'] > 0 then id = redis.call('XPENDING', stream, info['name'])[2] end
    if not oldest or later(oldest, id) then oldest = id end
  end
  return oldest, given
end

-- Whether the oldest job in flight has been so for long, and much was done after it.
local function held_up(oldest)
  if redis.call('HGET', stats, 'oldest') ~= oldest then
    redis.call('HSET', stats, 'oldest', oldest, 'oldest:since', whole(now))
    return false
  end
  if now - tonumber(redis.call('HGET', stats, 'oldest:since') or now) < 10000 then return false end
  local waiting, _, pending = undelivered(stream, group)
  return waiting and redis.call('XLEN', stream) - waiting - pending > 1000
end

-- Delete what is done after a job that runs for long: trimming does not reach it. XDEL makes `lag` unknown where it leaves
-- a gap at or after what was delivered last, so it stays before that. Returns whether there may be more.
local function thin(groups, oldest, given)
  local from, count, bytes = redis.call('HGET', stats, 'thinned') or oldest, 0, 0
  repeat
    local page = redis.call('XRANGE', stream, '(' .. from, '(' .. given, 'COUNT', 20)
    if #page == 0 then
      redis.call('HDEL', stats, 'thinned')
      return false
    end
    local busy, done = {}, {}
    from = page[#page][1]
    for _, info in ipairs(groups) do
      for _, entry in ipairs(redis.call('XPENDING', stream, info['name'], page[1][1], from, 1000000)) do
        busy[entry[1]] = true
      end
    end
    for _, entry in ipairs(page) do
      if not busy[entry[1]] then done[#done + 1] = entry[1] end
      for _, value in ipairs(entry[2]) do bytes = bytes + #value end
    end
    if #done > 0 then redis.call('XDEL', stream, unpack(done)) end
    count = count + #page
  until count >= 1000 or bytes >= 1048576
  redis.call('HSET', stats, 'thinned', from)
  return true
end

local kept, more = tonumber(redis.call('HGET', stats, 'kept') or '0'), false
if (now - kept >= 1000 or now < kept) and redis.call('EXISTS', stream) == 1 then
  local groups = {}
  for i, flat in ipairs(redis.call('XINFO', 'GROUPS', stream)) do groups[i] = to_map(flat) end
  local oldest, given = finished(groups)
  if oldest and oldest ~= '0-0' then
    -- Not the default limit of 10,000: a pool may finish more than that in a second.
    redis.call('XTRIM', stream, 'MINID', '~', oldest, 'LIMIT', '50000')
    more = held_up(oldest) and thin(groups, oldest, given)
  end
  redis.call('HSET', stats, 'kept', whole(more and now - 900 or now)) -- in small pieces: others wait for each
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

local next_due = tonumber(redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')[2] or -1)
if more and (next_due < 0 or next_due > now + 100) then next_due = now + 100 end
return {now, next_due, order and 1 or 0}
