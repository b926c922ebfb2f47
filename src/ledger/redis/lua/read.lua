-- KEYS[9]: the row. ARGV[5]: 1, when replicas are asked.
count_read(ARGV[5])
local row = redis.call('HMGET', KEYS[9], 'version', 'text')
return answer('ok', { row[1] or '', row[2] or '' })
