-- KEYS stream dead stats   ARGV group after until reason job_id redrive(1) or purge(0) version
-- One chunk: dead letters after the id `after`, up to `until` (empty: the last one there is now), that match what is
-- not empty, leave; redriven ones wait again, as if never tried. Returns {how many, after or empty when over, until}.
local stream, dead, stats = KEYS[1], KEYS[2], KEYS[3]
local after, last, reason, job_id, redrive, version = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6] == '1', ARGV[7]
local q = queue(stream, stats, ARGV[1])
if last == '' then
  local newest = redis.call('XREVRANGE', dead, '+', '-', 'COUNT', 1)[1]
  if not newest then return {0, '', ''} end
  last = newest[1]
end

local function revived(letter)
  local job = {}
  for field, value in pairs(letter) do
    if string.sub(field, 1, 5) ~= 'dead.' then job[field] = value end
  end
  job.id, job.due = job.id or letter['dead.entry'], whole(now_ms())
  for _, gone in ipairs({'attempt', 'checkpoint', 'serial', 'expires', 'begun', 'redelivered'}) do job[gone] = nil end
  return job.id and job
end

local moved, seen, bytes, page = 0, 0, 0, nil
repeat
  page = redis.call('XRANGE', dead, after == '' and '-' or '(' .. after, last, 'COUNT', 10)
  for _, entry in ipairs(page) do
    local letter = to_map(entry[2])
    local id = letter.id or letter['dead.entry']
    after = entry[1]
    bytes = bytes + #(letter.payload or '')
    local of_version = version == '' or letter['dead.version'] == version
    if of_version and (reason == '' or letter['dead.reason'] == reason) and (job_id == '' or id == job_id) then
      local job = redrive and revived(letter)
      if job then
        let_wait(q, job, false)
      end
      if job or not redrive then moved = moved + redis.call('XDEL', dead, entry[1]) end
    end
  end
  seen = seen + #page
until #page < 10 or seen >= 500 or bytes >= 4194304
if redrive and ordered(q) then feed(q, 1) end
if #page < 10 then return {moved, '', last} end
return {moved, after, last}
