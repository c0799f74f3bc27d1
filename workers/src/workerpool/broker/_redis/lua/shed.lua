-- Jobs that are not to be run go to the dead letters; the rules are those of broker/_shed.py.
-- Expects before it: common.lua; tenants.lua (CLASSES); EXPIRED_TEXT and SHED_TEXT of scripts.py.
-- `q.weed`: how long the jobs of each class may wait, ms; nil: nobody looks now. `q.consumer`: who looks. `q.buried`: how
-- many were buried, by why.

-- Why this job, which waits, is not to be run; nil when it is.
local function spoiled(q, class, job, due, now)
  if job.expires and now >= (tonumber(job.expires) or math.huge) then return 'expired' end
  local after = not job.begun and not job.redelivered and q.weed[class]
  if after and now - (tonumber(due) or now) > after then return 'shed' end
end

-- Write the letter. `from`: the entry that the job was in, if any.
local function bury(q, job, reason, from)
  local error = reason == 'shed' and SHED_TEXT or EXPIRED_TEXT
  local flat = {}
  for field, value in pairs(job) do
    if field ~= 'serial' then
      flat[#flat + 1] = field
      flat[#flat + 1] = value
    end
  end
  redis.call('XADD', q.base .. 'dead', '*',
    'dead.reason', reason, 'dead.attempts', job.attempt or '0', 'dead.error', error, 'dead.traceback', '',
    'dead.version', '', 'dead.worker', q.consumer, 'dead.entry', from or job.id, 'dead.at', whole(now_ms()), capped(flat))
  q.buried[reason] = (q.buried[reason] or 0) + 1
end

-- Look for them, from now on, for this consumer: ARGV[at] and after it are the ms that high, normal and low ones may
-- wait, -1 for ever.
local function weed(q, consumer, at)
  q.consumer, q.weed, q.buried = consumer, {}, {}
  for i, class in ipairs(CLASSES) do
    local after = tonumber(ARGV[at + i - 1])
    if after >= 0 then q.weed[class] = after end
  end
end

local function buried(q)
  return {q.buried.expired or 0, q.buried.shed or 0}
end
