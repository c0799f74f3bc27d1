-- KEYS stream delayed stats job_prefix   ARGV group max_depth(-1: none) dedupe_ms {id delay_ms type payload extras}...
-- `extras`: empty, or a JSON object of `tenant`, `priority` and `key`, `traceparent` and `tracestate`,
-- and `expires`, in ms from now. Returns how many
-- of the jobs, from the first, were put (or dropped as duplicates).
local stream, delayed, stats = KEYS[1], KEYS[2], KEYS[3]
local group, max_depth, dedupe_ms = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local q, now = queue(stream, stats, group), now_ms()
local order = ordered(q)
local room = math.huge
if max_depth >= 0 then
  local waiting = undelivered(stream, group) or math.huge
  if order then waiting = waiting + redis.call('HLEN', q.base .. 'backlog') end
  room = max_depth - waiting - redis.call('ZCOUNT', delayed, '-inf', whole(now))
end

local function put_one(id, delay, type, payload, extras)
  if not order and extras == '' and delay <= 0 then -- the plain way, which costs nothing
    if id == '' then return redis.call('XADD', stream, '*', 'type', type, 'payload', payload) end
    return redis.call('XADD', stream, '*', 'type', type, 'payload', payload, 'id', id)
  end
  local job = extras == '' and {} or cjson.decode(extras)
  job.type, job.payload = type, payload
  if job.expires then job.expires = whole(now + job.expires) end
  if not order and delay <= 0 and not (job.tenant or job.priority or job.key) then
    job.id = id ~= '' and id or nil
    return redis.call('XADD', stream, '*', unpack(to_flat(job)))
  end
  job.serial = next_serial(stats)
  job.id = id ~= '' and id or whole(now) .. '-s' .. job.serial
  if delay > 0 then return redis.call('ZADD', delayed, whole(now + delay), delayed_member(job)) end
  job.due, order = whole(now), true
  let_wait(q, job, true)
end

local put = 0
for i = 4, #ARGV, 5 do
  local id = ARGV[i]
  local known = id ~= '' and redis.call('EXISTS', KEYS[4] .. id) == 1
  if not known then
    if room <= 0 then break end
    room = room - 1
    if id ~= '' then redis.call('SET', KEYS[4] .. id, 1, 'PX', dedupe_ms) end
    put_one(id, tonumber(ARGV[i + 1]), ARGV[i + 2], ARGV[i + 3], ARGV[i + 4])
  end
  put = put + 1
end
if order then feed(q, 1) end
return put
