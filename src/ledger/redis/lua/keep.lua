-- KEYS[9]: the session. ARGV[5..]: its name, about.
local ttl = redis.call('HGET', KEYS[9], 'ttl_ms')
if not ttl then return answer('ok', { 'gone' }) end
change('session', ARGV[5], 'about', ARGV[6])
redis.call('HSET', KEYS[9], 'about', ARGV[6])
redis.call('PEXPIRE', KEYS[9], ttl)
return answer('ok', { 'alive' })
