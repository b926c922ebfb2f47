-- ARGV[5..]: the highest generation that is known of, the server's replication id, the gap.
local highest = math.max(generation, tonumber(ARGV[5])) + tonumber(ARGV[7])
redis.call('SET', GENERATION, decimal(highest))
redis.call('HSET', ORIGIN, 'replid', ARGV[6], 'confirmed', decimal(highest))
redis.call('DEL', FROZEN)
frozen = false
change('confirmed', decimal(highest))
return answer('ok', {})
