-- KEYS[9]: the row.
local row = redis.call('HMGET', KEYS[9], 'version', 'text')
return answer('ok', { row[1] or '', row[2] or '' })
