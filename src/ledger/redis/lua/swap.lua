-- KEYS[9]: the session; KEYS[10..]: rows. ARGV[5..]: resource, expected version, text of each.

-- While frozen, rows may only lose grants: a mark or a grant that is set could be one that was
-- set, to more, in what is lost.
local function gives_up(before, after)
  if not before then return false end
  if before == after then return true end
  local is_text, old = pcall(cjson.decode, before)
  local is_json, new = pcall(cjson.decode, after)
  if not (is_text and is_json and type(old) == 'table' and type(new) == 'table') then
    return false
  end
  if old.mark ~= new.mark or old.holder ~= new.holder then return false end
  if type(old.grants) ~= 'table' or type(new.grants) ~= 'table' then return false end
  for session, token in pairs(new.grants) do
    if old.grants[session] ~= token then return false end
  end
  return true
end

local is_alive = redis.call('EXISTS', KEYS[9]) == 1
local outcomes = {}
for at = 10, #KEYS do
  local first = 5 + (at - 10) * 3
  local resource, expected, text = ARGV[first], ARGV[first + 1], ARGV[first + 2]
  local row = redis.call('HMGET', KEYS[at], 'version', 'text')
  local outcome
  if not is_alive then
    outcome = { 'gone' }
  elseif (row[1] or '0') ~= expected then
    outcome = { 'differs', row[1] or '', row[2] or '' }
  elseif frozen and not gives_up(row[2], text) then
    outcome = { 'frozen' }
  else
    local version = change('row', resource, 'text', text)
    redis.call('HSET', KEYS[at], 'version', version, 'text', text)
    redis.call('ZADD', ROWS, 0, resource)
    outcome = { 'done', version }
  end
  outcomes[#outcomes + 1] = outcome
end
return answer('ok', outcomes)
