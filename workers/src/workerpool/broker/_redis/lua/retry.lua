-- KEYS stream delayed stats checkpoints   ARGV group consumer {id delay_ms attempts}...   Returns the ids that are not ours.
local stream, delayed, stats = KEYS[1], KEYS[2], KEYS[3]
local own = owned_by(stream, ARGV[1], ARGV[2])
local q, now, lost = queue(stream, stats, ARGV[1]), now_ms(), {}
for i = 3, #ARGV, 3 do
  local id = ARGV[i]
  local flat = own[id] and fields_of(stream, id)
  if flat then
    local job = to_map(with_checkpoint(KEYS[4], id, flat))
    job.id = job.id or id
    job.attempt = ARGV[i + 2]
    job.due, job.begun, job.redelivered = nil, nil, nil
    job.serial = job.serial or next_serial(stats) -- by which it holds its key
    if job.key then redis.call('HDEL', q.base .. 'key_of', id) end
    if job.tenant then off_stream(q, id) end
    redis.call('ZADD', delayed, whole(now + tonumber(ARGV[i + 1])), delayed_member(job))
    redis.call('XACK', stream, ARGV[1], id)
    redis.call('HDEL', KEYS[4], id)
  else
    lost[#lost + 1] = id
  end
end
if ordered(q) then feed(q, 1) end -- another one of its tenant may run
return lost
