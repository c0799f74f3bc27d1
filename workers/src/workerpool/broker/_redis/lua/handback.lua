-- KEYS stream stats checkpoints   ARGV group consumer {id attempts}...   Returns the ids that are not ours.
-- Not into the backlog: it has been chosen before. Appending anew wakes a waiting consumer at once, which a released lease would not.
local stream = KEYS[1]
local own = owned_by(stream, ARGV[1], ARGV[2])
local lost = {}
for i = 3, #ARGV, 2 do
  local id = ARGV[i]
  local flat = own[id] and fields_of(stream, id)
  if flat then
    local job = to_map(with_checkpoint(KEYS[3], id, flat))
    job.id = job.id or id
    job.attempt = ARGV[i + 1]
    job.due = job.due or string.match(id, '^%d+')
    local anew = redis.call('XADD', stream, '*', capped(to_flat(job)))
    for _, name in ipairs((job.key or job.tenant) and {'held', 'whose'} or {}) do
      local hash = string.sub(KEYS[2], 1, -6) .. name
      local value = redis.call('HGET', hash, id)
      if value then
        redis.call('HDEL', hash, id)
        redis.call('HSET', hash, anew, value)
      end
    end
    redis.call('HINCRBY', KEYS[2], 'requeued', 1)
    redis.call('XACK', stream, ARGV[1], id)
    redis.call('HDEL', KEYS[3], id)
  else
    lost[#lost + 1] = id
  end
end
return lost
