-- KEYS[9]: what the key of a session begins with.
--
-- Redis tells nobody that a key has expired: whoever asks first tells it, in the log. The keys of
-- sessions are made up here, not declared; all have the same hash tag.
local alive = {}
for _, id in ipairs(redis.call('ZRANGE', SESSIONS, 0, -1)) do
  local about = redis.call('HGET', KEYS[9] .. id, 'about')
  if about then
    alive[#alive + 1] = { id, about }
  else
    redis.call('ZREM', SESSIONS, id)
    change('gone', id)
  end
end
return answer('ok', alive)
