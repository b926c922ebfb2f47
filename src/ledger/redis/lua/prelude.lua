-- What all scripts begin with. ARGV: process, floor, tag, log_max.
--
-- Numbers of Lua are doubles, exact below 2^53: the generation stays below that for thousands of
-- years at any rate Redis can do. Versions are compared as texts, and put out by decimal().
local GENERATION, LOG, ROWS, SESSIONS = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local SEEN, NUMBER, FROZEN, ORIGIN = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local process, floor, tag, log_max = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]

local function decimal(number)
  return string.format('%.0f', number)
end

local generation = tonumber(redis.call('GET', GENERATION) or '0')
local frozen = redis.call('GET', FROZEN)
local confirmed = tonumber(redis.call('HGET', ORIGIN, 'confirmed') or '0')
local mine = tonumber(redis.call('ZSCORE', SEEN, process) or '0')
-- The process had a change acknowledged that is not here. What was lost before an operator
-- confirmed is not told again.
local lacks = floor > confirmed and (generation < floor or mine < floor)
local made = 0

local function answer(status, rest)
  return { status, decimal(generation), decimal(made), frozen or '', rest }
end

-- The log first: where it refuses, nothing has been changed.
local function change(...)
  local now = redis.call('INCR', GENERATION)
  local id = decimal(now) .. '-0'
  redis.call('XADD', LOG, 'MAXLEN', '~', log_max, id, 'by', tag, ...)
  redis.call('ZADD', SEEN, decimal(now), process)
  generation, made = now, now
  return decimal(now)
end

-- What replicas acknowledge is a change: that what is read here is read from the primary.
local function count_read(is_asked)
  if is_asked == '1' then redis.call('HINCRBY', ORIGIN, 'reads', 1) end
end

if lacks and not frozen and not is_judge then
  return answer('behind', {})
end
