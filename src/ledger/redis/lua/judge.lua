-- KEYS[9]: what the key of a session begins with. ARGV[5..]: the server's replication id, how far
-- the feed has come and the tag of that change, what for (look, begin, decide), whether another
-- history is trusted (1, 0), the gap by which numbers jump.
local replid, fed, fed_tag = ARGV[5], tonumber(ARGV[6]), ARGV[7]
local what_for, is_trusted, gap = ARGV[8], ARGV[9] == '1', ARGV[10]

local function freeze(why)
  if frozen then return end
  frozen = why
  redis.call('SET', FROZEN, why)
  -- Numbers that were given out in what is lost must not be given out again.
  redis.call('INCRBY', NUMBER, gap)
end

if lacks then
  freeze('change ' .. decimal(floor) .. ' was acknowledged, and the server has come only to '
    .. decimal(generation) .. ', of which the process that noticed has made ' .. decimal(mine))
end

-- What the feed has told is to be there, or to have been trimmed.
local has_missed = false
if fed > 0 then
  local id = decimal(fed) .. '-0'
  local entry = redis.call('XRANGE', LOG, id, id)[1]
  local first = redis.call('XRANGE', LOG, '-', '+', 'COUNT', 1)[1]
  local is_trimmed = not entry
    and (not first or tonumber(string.match(first[1], '^%d+')) > fed)
  local is_there = entry and entry[2][2] == fed_tag
  if not is_there then
    has_missed = true
    if fed > confirmed and (generation < fed or not is_trimmed) then
      freeze('change ' .. decimal(fed) .. ' was told, and the server does not have it; it has come'
        .. ' to ' .. decimal(generation))
    end
  end
end

local origin = redis.call('HGET', ORIGIN, 'replid')
if not frozen and origin ~= replid then
  if floor > 0 then
    -- All that this process had acknowledged is here: it vouches for this history.
    redis.call('HSET', ORIGIN, 'replid', replid)
  elseif what_for ~= 'look' then
    if not origin or is_trusted then
      redis.call('HSET', ORIGIN, 'replid', replid)
    else
      for _, id in ipairs(redis.call('ZRANGE', SESSIONS, 0, -1)) do
        if what_for == 'begin' and redis.call('EXISTS', KEYS[9] .. id) == 1 then
          return answer('wait', {})
        end
      end
      freeze('the ledger was last seen to be whole under the replication id ' .. origin
        .. ', the server now has ' .. replid
        .. ', and no replica of Palisade is alive that knows whether all is there')
    end
  end
end
return answer('ok', { has_missed and 'missed' or '' })
