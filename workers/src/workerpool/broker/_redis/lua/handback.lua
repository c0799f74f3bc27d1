-- KEYS stream stats checkpoints   ARGV group consumer {id attempts begun redelivered}...   Returns the ids not ours.
-- Before the others of their class in the backlog; where there is none, to the stream's end: appending wakes a waiting
-- consumer at once, which a released lease would not.
local stream = KEYS[1]
local own = owned_by(stream, ARGV[1], ARGV[2])
local q, lost = queue(stream, KEYS[2], ARGV[1]), {}
local order = ordered(q)
for i = 3, #ARGV, 4 do
  local id = ARGV[i]
  local flat = own[id] and fields_of(stream, id)
  if flat then
    local job = to_map(with_checkpoint(KEYS[3], id, flat))
    job.id = job.id or id
    job.attempt = ARGV[i + 1]
    job.begun = ARGV[i + 2] == '1' and '1' or nil
    job.redelivered = ARGV[i + 3] == '1' and '1' or nil
    job.due = job.due or string.match(id, '^%d+')
    if order then
      put_back(q, id, job)
    else
      redis.call('XADD', stream, '*', capped(to_flat(job)))
      redis.call('HINCRBY', KEYS[2], 'requeued', 1)
    end
    redis.call('XACK', stream, ARGV[1], id)
    redis.call('HDEL', KEYS[3], id)
  else
    lost[#lost + 1] = id
  end
end
if order then feed(q, 1) end
return lost
