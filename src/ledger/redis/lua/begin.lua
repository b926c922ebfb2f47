-- KEYS[9]: what the key of a session begins with. ARGV[5..]: replica, ttl_ms, about, seen_max.
local number = redis.call('INCR', NUMBER)
local id = ARGV[5] .. '#' .. decimal(number)
change('session', id, 'about', ARGV[7])
redis.call('HSET', KEYS[9] .. id, 'ttl_ms', ARGV[6], 'about', ARGV[7])
redis.call('PEXPIRE', KEYS[9] .. id, ARGV[6])
redis.call('ZADD', SESSIONS, decimal(number), id)
-- Those that have said nothing for the longest.
redis.call('ZREMRANGEBYRANK', SEEN, 0, -1 - tonumber(ARGV[8]))
return answer('ok', { decimal(number) })
