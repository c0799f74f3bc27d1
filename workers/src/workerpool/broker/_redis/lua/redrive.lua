-- KEYS stream dead stats   ARGV after until reason job_id redrive(1) or purge(0)
-- One chunk: dead letters after the id `after`, up to `until` (empty: the last one there is now), that match what is
-- not empty, leave; redriven ones wait again, as if never tried. Returns {how many, after or empty when over, until}.
local stream, dead, stats = KEYS[1], KEYS[2], KEYS[3]
local after, last, reason, job_id, redrive = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5] == '1'
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
  job.id, job.attempt, job.due, job.checkpoint = job.id or letter['dead.entry'], nil, nil, nil
  return next(job) and job
end

local moved, seen, bytes, page = 0, 0, 0, nil
repeat
  page = redis.call('XRANGE', dead, after == '' and '-' or '(' .. after, last, 'COUNT', 10)
  for _, entry in ipairs(page) do
    local letter = to_map(entry[2])
    local id = letter.id or letter['dead.entry']
    after = entry[1]
    bytes = bytes + #(letter.payload or '')
    if (reason == '' or letter['dead.reason'] == reason) and (job_id == '' or id == job_id) then
      local job = redrive and revived(letter)
      if job then
        redis.call('XADD', stream, '*', capped(to_flat(job)))
        redis.call('HINCRBY', stats, 'requeued', 1)
      end
      if job or not redrive then moved = moved + redis.call('XDEL', dead, entry[1]) end
    end
  end
  seen = seen + #page
  if #page < 10 then return {moved, '', last} end
until seen >= 500 or bytes >= 4194304
return {moved, after, last}
