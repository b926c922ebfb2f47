-- KEYS[9]: the session. ARGV[5]: its name.
redis.call('DEL', KEYS[9])
if redis.call('ZREM', SESSIONS, ARGV[5]) == 1 then change('gone', ARGV[5]) end
return answer('ok', {})
