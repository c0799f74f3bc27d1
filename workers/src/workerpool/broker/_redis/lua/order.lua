-- Fair order: jobs with a tenant, a priority or an ordering key wait in a backlog beside the stream, and are appended to
-- the stream only as far as somebody is about to take them: so the order is that of the backlog, whatever comes later.
-- From the first such job on (`ordered` in the stats) all jobs of the queue do. The rules are those of broker/_fair.py.
-- Expects before it: common.lua; tenants.lua; shed.lua; AGEING_MS of scripts.py. All of these share one `q`, made by
-- `queue`: where the keys are, and what a script knows for as long as it runs.
--   backlog  hash   serial -> job, as a JSON object of the fields of an entry
--   rank:C   zset   serials of class C that may run, by start tag; ties by serial
--   due:C    zset   the same, by when they became due, unix ms
--   rank:C:T, due:C:T  the same, of jobs of type T that were passed by somebody who has no room for that type (`q.without`)
--   aside    zset   score 0, C:T of each of these
--   fair:C   zset   tenants, by their finish (F); those behind V are forgotten. V is `virtual:C` in the stats
--   busy     hash   hash of an ordering key -> serial of the job that holds it: waiting, in flight or delayed for a retry
--   lines    zset   score 0, hash of an ordering key .. serial: those that wait for their key
--   blocked  zset   the same serials, by when they became due
--   key_of   hash   entry id -> hash of the ordering key that the job in this entry holds
-- Those of tenants with a limit wait in lines of their own, see lua/tenants.lua, until they may have a tag.

local function queue(stream, stats, group)
  return {stream = stream, stats = stats, group = group, base = string.sub(stats, 1, -6), without = {}}
end

local function ordered(q)
  return redis.call('HGET', q.stats, 'ordered') == '1'
end

local function next_serial(stats)
  return string.format('%016d', redis.call('HINCRBY', stats, 'serial', 1))
end

local function class_of(job)
  return AGEING_MS[job.priority] and job.priority or 'normal'
end

local function rank(q, serial, job)
  local class, tenant = class_of(job), job.tenant or ''
  local fair = q.base .. 'fair:' .. class
  local virtual = redis.call('HGET', q.stats, 'virtual:' .. class) or '0'
  local tag = math.max(tonumber(virtual), tonumber(redis.call('ZSCORE', fair, tenant) or '0'))
  redis.call('ZADD', fair, whole(tag + 1), tenant)
  redis.call('ZADD', q.base .. 'rank:' .. class, whole(tag), serial)
  redis.call('ZADD', q.base .. 'due:' .. class, job.due, serial)
end

-- It may run, as far as its ordering key is concerned.
local function line_up(q, serial, job)
  local class, tenant = class_of(job), job.tenant or ''
  if stands_in_line(q, class, tenant) then
    wait_at_limit(q, class, tenant, serial, job.due)
  else
    rank(q, serial, job)
  end
end

-- It was chosen and has not run: it goes before those of its class, at nobody's expense.
local function rank_first(q, serial, job)
  local class = class_of(job)
  local tag = tonumber(redis.call('HGET', q.stats, 'virtual:' .. class) or '0')
  local places = redis.call('ZRANGE', q.base .. 'aside', 0, -1)
  places[#places + 1] = class
  for _, place in ipairs(places) do -- those that were passed have tags behind V
    if string.match(place, '^%a+') == class then
      local first = redis.call('ZRANGE', q.base .. 'rank:' .. place, 0, 0, 'WITHSCORES')[2]
      tag = math.min(tag, tonumber(first) or tag)
    end
  end
  redis.call('ZADD', q.base .. 'rank:' .. class, whole(tag), serial)
  redis.call('ZADD', q.base .. 'due:' .. class, job.due, serial)
end

-- Into the backlog. A fresh job is an arrival; one that holds its key keeps it. `place`: how it finds its place there.
local function admit(q, job, fresh, place)
  if not (job.serial and string.match(job.serial, '^%d+$') and #tostring(job.serial) == 16) then
    job.serial = next_serial(q.stats)
  end
  if fresh then redis.call('HINCRBY', q.stats, 'admitted', 1) end
  redis.call('HSET', q.base .. 'backlog', job.serial, cjson.encode(job))
  if job.key then
    local key = redis.sha1hex(job.key)
    local holder = redis.call('HGET', q.base .. 'busy', key)
    if holder and holder ~= job.serial then
      redis.call('ZADD', q.base .. 'lines', 0, key .. job.serial)
      redis.call('ZADD', q.base .. 'blocked', job.due, job.serial)
      return
    end
    redis.call('HSET', q.base .. 'busy', key, job.serial)
  end
  local find_place = place or line_up
  find_place(q, job.serial, job)
end

-- It waits, from now on: in the backlog, or where no order is asked for, in the stream.
local function let_wait(q, job, fresh)
  if job.tenant or job.priority or job.key then redis.call('HSET', q.stats, 'ordered', '1') end
  if ordered(q) then return admit(q, job, fresh) end
  job.serial = nil
  if not fresh then redis.call('HINCRBY', q.stats, 'requeued', 1) end
  redis.call('XADD', q.stream, '*', capped(to_flat(job)))
end

-- The job that held this key is done or dead: the next one in line holds it, and may run.
local function release(q, key)
  local line = redis.call('ZRANGEBYLEX', q.base .. 'lines', '[' .. key, '(' .. key .. ':', 'LIMIT', 0, 1)[1]
  if not line then return redis.call('HDEL', q.base .. 'busy', key) end
  local serial = string.sub(line, 41)
  redis.call('ZREM', q.base .. 'lines', line)
  redis.call('ZREM', q.base .. 'blocked', serial)
  local job = redis.call('HGET', q.base .. 'backlog', serial)
  if not job then return release(q, key) end
  redis.call('HSET', q.base .. 'busy', key, serial)
  line_up(q, serial, cjson.decode(job))
end

-- What was in this entry is done or dead.
local function release_entry(q, id)
  off_stream(q, id)
  local key = redis.call('HGET', q.base .. 'key_of', id)
  if not key then return end
  redis.call('HDEL', q.base .. 'key_of', id)
  release(q, key)
end

-- What was in this entry has not run: it waits again.
local function put_back(q, id, job)
  redis.call('HDEL', q.base .. 'key_of', id)
  off_stream(q, id)
  spend(q, job.tenant, -1)
  admit(q, job, false, rank_first)
end

-- Where jobs of a class are that may run: in its own lines, and in those of the types that were put aside.
local function places_of(q, class, aside)
  local places = {class}
  for _, place in ipairs(aside) do
    local of, type = string.match(place, '^(%a+):(.*)$')
    if of == class and not q.without[type] then places[#places + 1] = place end
  end
  return places
end

-- The class whose turn it is, and the places of its jobs; nil when none can run.
local function next_class(q, aside)
  local class, first, places = nil, math.huge, nil
  for _, one in ipairs(CLASSES) do
    local its_places = places_of(q, one, aside)
    for _, place in ipairs(its_places) do
      local oldest = redis.call('ZRANGE', q.base .. 'due:' .. place, 0, 0, 'WITHSCORES')[2]
      if oldest and tonumber(oldest) + AGEING_MS[one] < first then
        class, first, places = one, tonumber(oldest) + AGEING_MS[one], its_places
      end
    end
  end
  return class, places
end

-- The first serial in these places, and its tag; nil when somebody deleted a key.
local function pop_first(q, places)
  local from, first, tag = places[1], nil, nil
  for _, place in ipairs(#places > 1 and places or {}) do
    local head = redis.call('ZRANGE', q.base .. 'rank:' .. place, 0, 0, 'WITHSCORES')
    local its_tag = tonumber(head[2])
    if its_tag and (not tag or its_tag < tag or (its_tag == tag and head[1] < first)) then
      from, first, tag = place, head[1], its_tag
    end
  end
  local popped = redis.call('ZPOPMIN', q.base .. 'rank:' .. from)
  if popped[1] then redis.call('ZREM', q.base .. 'due:' .. from, popped[1]) end
  for _, place in ipairs(popped[1] and {from} or places) do
    if redis.call('EXISTS', q.base .. 'rank:' .. place) == 0 then
      redis.call('ZREM', q.base .. 'aside', place)
      redis.call('ZREMRANGEBYRANK', q.base .. 'due:' .. place, 0, -1) -- what only one key holds cannot run
    end
  end
  return popped[1], popped[2]
end

-- The taker has no room for jobs of its type.
local function put_aside(q, class, serial, tag, job)
  local place = class .. ':' .. job.type
  redis.call('ZADD', q.base .. 'aside', 0, place)
  redis.call('ZADD', q.base .. 'rank:' .. place, tag, serial)
  redis.call('ZADD', q.base .. 'due:' .. place, job.due, serial)
end

-- This tag was chosen: V goes on to it, unless it was passed before. Where nobody waits any more tags begin anew.
local function chosen(q, class, tag)
  local empty = redis.call('EXISTS', q.base .. 'rank:' .. class) == 0
  for _, place in ipairs(empty and redis.call('ZRANGE', q.base .. 'aside', 0, -1) or {}) do
    if string.match(place, '^%a+') == class then empty = false end
  end
  if empty then
    redis.call('ZREMRANGEBYRANK', q.base .. 'fair:' .. class, 0, -1)
    redis.call('HDEL', q.stats, 'virtual:' .. class)
  elseif tonumber(tag) > tonumber(redis.call('HGET', q.stats, 'virtual:' .. class) or '0') then
    redis.call('ZREMRANGEBYSCORE', q.base .. 'fair:' .. class, '-inf', tag)
    redis.call('HSET', q.stats, 'virtual:' .. class, tag)
  end
end

-- The job that runs next, taken out of the backlog; nil when none can run, or there was too much to be put aside
-- (`q.more`).
local function pop(q)
  for _ = 1, q.weed and 500 or 200 do
    for _, serial in ipairs(let_go(q)) do
      local job = redis.call('HGET', q.base .. 'backlog', serial)
      if job then
        job = cjson.decode(job)
        rank(q, serial, job)
        if q.without[job.type] then look_soon(q, job.tenant) end -- the one behind it may run
      end
    end
    local class, places = next_class(q, redis.call('ZRANGE', q.base .. 'aside', 0, -1))
    if not class then return nil end
    local serial, tag = pop_first(q, places)
    local job = serial and redis.call('HGET', q.base .. 'backlog', serial)
    job = job and cjson.decode(job)
    if job and q.without[job.type] then
      put_aside(q, class, serial, tag, job)
    elseif job then
      local tenant = job.tenant or ''
      local reason = q.weed and spoiled(q, class, job, job.due, now_ms())
      local free, again = room(q, tenant)
      if reason then
        redis.call('HDEL', q.base .. 'backlog', serial)
        bury(q, job, reason)
        if job.key then release(q, redis.sha1hex(job.key)) end
        look_soon(q, tenant)
      elseif free > 0 then
        chosen(q, class, tag)
        redis.call('HDEL', q.base .. 'backlog', serial)
        spend(q, tenant, 1)
        return job
      else
        wait_at_limit(q, class, tenant, serial, job.due, math.ceil(again))
      end
    end
  end
  q.more = true
  return nil
end

-- Append to the stream until it holds `upto` jobs that nobody has taken, or nothing can run.
local function feed(q, upto)
  if redis.call('EXISTS', q.base .. 'backlog') == 0 then return end
  local count = undelivered(q.stream, q.group)
  while count and count < upto do
    local job = pop(q)
    if not job then return end
    local key = job.key and redis.sha1hex(job.key)
    local id = redis.call('XADD', q.stream, '*', capped(to_flat(job)))
    redis.call('HINCRBY', q.stats, 'requeued', 1)
    if key then redis.call('HSET', q.base .. 'key_of', id, key) end
    if job.tenant then
      on_stream(q, id, job.tenant)
      look_soon(q, job.tenant)
    end
    count = count + 1
  end
end

-- Whether nobody will ever say what became of this entry: a stranger deleted it, or acknowledged it by a bare XACK.
local function abandoned(q, id, last)
  if not fields_of(q.stream, id) then return true end
  if not last or #redis.call('XPENDING', q.stream, q.group, id, id, 1) > 0 then return false end
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  local last_ms, last_seq = string.match(last, '^(%d+)-(%d+)$')
  if ms ~= last_ms then return tonumber(ms) < tonumber(last_ms) end
  return tonumber(seq) <= tonumber(last_seq)
end

-- Keys and tenants whose job was abandoned are let go.
local function tidy(q)
  local info = group_of(q.stream, q.group)
  local last = info and info['last-delivered-id']
  for hash, at in pairs({key_of = 'tidied', whose = 'tidied:whose'}) do
    local reply = redis.call('HSCAN', q.base .. hash, redis.call('HGET', q.stats, at) or '0', 'COUNT', 100)
    redis.call('HSET', q.stats, at, reply[1])
    for i = 1, #reply[2], 2 do
      if abandoned(q, reply[2][i], last) then release_entry(q, reply[2][i]) end
    end
  end
end
