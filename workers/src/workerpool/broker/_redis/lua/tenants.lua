-- Limits of tenants: how many of their jobs are in flight, and begin per second. The rules are those of
-- broker/_tenants.py.
-- Expects before it: common.lua; BURST_SECONDS, SAY_MS and LOOK_AGAIN_MS of scripts.py.
--   limits        hash    tenant, or * for each that is not named -> 'jobs per second, jobs in flight', either one `-`
--   limits:said   hash    the limits as a consumer announces them, JSON -> when it did last, unix ms
--   whose         hash    entry id -> tenant: of jobs on the stream, from when they are appended until they are settled
--   running       hash    tenant -> how many of those
--   at_limit:C:T  zset    serials of class C and tenant T, which has a limit, by when they became due
--   look          zset    C:T of each of these -> when the tenant may have room, unix ms
--   rate:T        string  the token bucket of tenant T: tokens, unix us

local CLASSES = {'high', 'normal', 'low'}

local function now_us()
  local t = redis.call('TIME')
  return t[1] * 1000000 + t[2]
end

-- {jobs per second, jobs in flight}, either one nil; nil without a limit.
local function limit_of(q, tenant)
  if not tenant or tenant == '' then return nil end
  if q.limited == nil then q.limited = redis.call('EXISTS', q.base .. 'limits') == 1 end
  if not q.limited then return nil end
  local found = redis.call('HMGET', q.base .. 'limits', tenant, '*')
  local text = found[1] or found[2]
  if not text then return nil end
  local rate, most = string.match(text, '^(%S+) (%S+)$')
  return {tonumber(rate), tonumber(most)}
end

local function tokens_of(q, tenant, rate, now)
  local burst = 1 + rate * BURST_SECONDS
  local level = redis.call('GET', q.base .. 'rate:' .. tenant)
  if not level then return burst, burst end
  local tokens, at = string.match(level, '^(%S+) (%S+)$')
  tokens, at = tonumber(tokens), tonumber(at)
  if at > now then -- the clock was set back
    redis.call('SET', q.base .. 'rate:' .. tenant, string.format('%.17g %.0f', tokens, now), 'KEEPTTL')
  end
  return math.min(burst, tokens + math.max(0, now - at) / 1000000 * rate), burst
end

-- How many more jobs of the tenant may begin now, and when to look again (unix ms) if none may.
local function room(q, tenant)
  local limit = limit_of(q, tenant)
  if not limit then return math.huge, 0 end
  local rate, most, now = limit[1], limit[2], now_us()
  local free, again = math.huge, now / 1000 + LOOK_AGAIN_MS
  if most then free = math.max(0, most - tonumber(redis.call('HGET', q.base .. 'running', tenant) or '0')) end
  if free > 0 and rate then
    local there = tokens_of(q, tenant, rate, now)
    free, again = math.min(free, math.floor(there)), now / 1000 + math.max(1, (1 - there) / rate * 1000)
  end
  return free, again
end

-- One of its jobs was chosen; -1: one that did not run was put back.
local function spend(q, tenant, count)
  local limit = limit_of(q, tenant)
  if not limit or not limit[1] then return end
  local now, rate = now_us(), limit[1]
  local there, burst = tokens_of(q, tenant, rate, now)
  local full_ms = math.ceil((burst - there + 1) / rate * 1000) + 1000
  redis.call('SET', q.base .. 'rate:' .. tenant, string.format('%.17g %.0f', math.min(burst, there - count), now), 'PX', whole(full_ms))
end

local function look_soon(q, tenant)
  if redis.call('EXISTS', q.base .. 'look') == 0 then return end
  for _, class in ipairs(CLASSES) do redis.call('ZADD', q.base .. 'look', 'XX', '0', class .. ':' .. tenant) end
end

local function on_stream(q, id, tenant)
  if not tenant or tenant == '' then return end
  redis.call('HSET', q.base .. 'whose', id, tenant)
  redis.call('HINCRBY', q.base .. 'running', tenant, 1)
end

-- This entry is not in flight any more.
local function off_stream(q, id)
  local tenant = redis.call('HGET', q.base .. 'whose', id)
  if not tenant then return end
  redis.call('HDEL', q.base .. 'whose', id)
  local left = redis.call('HINCRBY', q.base .. 'running', tenant, -1)
  if left <= 0 then redis.call('HDEL', q.base .. 'running', tenant) end
  look_soon(q, tenant)
end

local function wait_at_limit(q, class, tenant, serial, due, look_at)
  redis.call('ZADD', q.base .. 'at_limit:' .. class .. ':' .. tenant, due, serial)
  if look_at then
    redis.call('ZADD', q.base .. 'look', whole(look_at), class .. ':' .. tenant)
  else
    redis.call('ZADD', q.base .. 'look', 'NX', '0', class .. ':' .. tenant)
  end
end

-- Whether a job of this class and tenant has to stand in its line.
local function stands_in_line(q, class, tenant)
  if tenant == '' then return false end
  return limit_of(q, tenant) ~= nil or redis.call('EXISTS', q.base .. 'at_limit:' .. class .. ':' .. tenant) == 1
end

-- The serials that may run by now: the first of each line whose tenant has room.
local function let_go(q)
  local ready = redis.call('ZRANGEBYSCORE', q.base .. 'look', '-inf', whole(now_ms()), 'LIMIT', 0, 20)
  local free_to_run = {}
  for _, place in ipairs(ready) do
    local class, tenant = string.match(place, '^(%a+):(.*)$')
    local line = q.base .. 'at_limit:' .. place
    local free, again = room(q, tenant)
    local count = 0
    if free == math.huge then count = 100 elseif free > 0 then count = 1 end
    if count > 0 then
      local popped = redis.call('ZPOPMIN', line, count)
      for i = 1, #popped, 2 do free_to_run[#free_to_run + 1] = popped[i] end
      -- It is looked at again when this one is chosen; where the limit is gone, at once.
      again = free == math.huge and 0 or now_ms() + LOOK_AGAIN_MS
    end
    if redis.call('EXISTS', line) == 0 then
      redis.call('ZREM', q.base .. 'look', place)
    else
      redis.call('ZADD', q.base .. 'look', whole(math.ceil(again)), place)
    end
  end
  return free_to_run
end

-- How many jobs stand in lines and could not run now, and since when the oldest one there has waited (nil: none). Where
-- very many tenants wait, those that are looked at last count as if they had no room: a reading must stay short.
local function at_limit(q)
  local stopped, oldest, tenants, counts = 0, nil, {}, {}
  for _, place in ipairs(redis.call('ZRANGE', q.base .. 'look', 0, -1)) do
    local tenant, line = string.match(place, '^%a+:(.*)$'), q.base .. 'at_limit:' .. place
    if not counts[tenant] then tenants[#tenants + 1] = tenant end
    counts[tenant] = (counts[tenant] or 0) + redis.call('ZCARD', line)
    local due = tonumber(redis.call('ZRANGE', line, 0, 0, 'WITHSCORES')[2])
    if due and due < (oldest or math.huge) then oldest = due end
  end
  for i, tenant in ipairs(tenants) do
    local free = i <= 500 and room(q, tenant) or 0
    stopped = stopped + math.max(0, counts[tenant] - free)
  end
  return stopped, oldest
end

-- DEL is not among the rights that workers need.
local function clear(hash)
  for _, field in ipairs(redis.call('HKEYS', hash)) do redis.call('HDEL', hash, field) end
end

-- What a consumer was told, as JSON {tenant: [rate or null, most or null]}; empty for no limits.
local function announce(q, text)
  local said = q.base .. 'limits:said'
  if text == '' and redis.call('EXISTS', said) == 0 then return end
  local now = now_ms()
  local changed = redis.call('HSET', said, text, whole(now)) > 0
  local all = {}
  for one, at in pairs(to_map(redis.call('HGETALL', said))) do
    if now - tonumber(at) > SAY_MS or tonumber(at) > now then
      redis.call('HDEL', said, one)
      changed = true
    elseif one ~= '' then
      all[#all + 1] = cjson.decode(one)
    end
  end
  if not changed and (#all == 0 or redis.call('EXISTS', q.base .. 'limits') == 1) then return end
  clear(q.base .. 'limits')
  q.limited = nil
  redis.call('ZUNIONSTORE', q.base .. 'look', 1, q.base .. 'look', 'WEIGHTS', '0') -- what was decided may not hold now
  if #all == 0 then return clear(said) end
  for _, limits in ipairs(all) do
    for tenant in pairs(limits) do
      local rate, most = math.huge, math.huge
      for _, other in ipairs(all) do
        local limit = other[tenant] or other['*']
        if limit then
          rate, most = math.min(rate, tonumber(limit[1]) or rate), math.min(most, tonumber(limit[2]) or most)
        end
      end
      local text_of = function(number) return number < math.huge and string.format('%.17g', number) or '-' end
      redis.call('HSET', q.base .. 'limits', tenant, text_of(rate) .. ' ' .. text_of(most))
    end
  end
end
