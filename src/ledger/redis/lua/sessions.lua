-- KEYS[9]: what the key of a session begins with. ARGV[5]: 1, when replicas are asked.
--
-- Of those that have expired, only the name: Redis tells nobody, so whoever looks ends them. The
-- keys of sessions are made up here, not declared; all have the same hash tag.
count_read(ARGV[5])
local found = {}
for _, id in ipairs(redis.call('ZRANGE', SESSIONS, 0, -1)) do
  local about = redis.call('HGET', KEYS[9] .. id, 'about')
  found[#found + 1] = about and { id, about } or { id }
end
return answer('ok', found)
