-- KEYS[9]: what the key of a row begins with. ARGV[5..]: from where (as ZRANGEBYLEX takes it), max.
local rows = {}
for _, name in ipairs(redis.call('ZRANGEBYLEX', ROWS, ARGV[5], '+', 'LIMIT', 0, ARGV[6])) do
  local row = redis.call('HMGET', KEYS[9] .. name, 'version', 'text')
  if row[1] and row[2] then rows[#rows + 1] = { name, row[1], row[2] } end
end
return answer('ok', rows)
