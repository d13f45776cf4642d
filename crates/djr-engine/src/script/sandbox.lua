-- Makes the globals that scripts see, and the function that runs one. Called once per interpreter with a table of what
-- the host provides; returns the globals, the table of compiled scripts and two functions that run one, the table of the
-- functions of libraries, what loads a library, and two functions that call one of its functions.
--
-- Lua 5.1 has no read-only tables. A protected table is an empty one that reads through to the true one and refuses
-- every assignment; whatever in the library works on a table without asking its metatable is wrapped below.
--
-- A function of the host raises a userdata. `host.reveal` makes of it what the script should see: a string, or a table
-- with a field `err`. So everything that catches errors is wrapped, too.

local host = ...
local _G, error, getmetatable, next, pairs, pcall, rawget, rawset, select, setmetatable, tonumber, tostring, type, unpack, xpcall =
  _G, error, getmetatable, next, pairs, pcall, rawget, rawset, select, setmetatable, tonumber, tostring, type, unpack, xpcall
local collectgarbage, loadstring = collectgarbage, loadstring
local byte, find, gsub, sub = string.byte, string.find, string.gsub, string.sub
local concat = table.concat
local lower = string.lower
local setfenv = setfenv
local resume = coroutine.resume
local reveal, position = host.reveal, host.position

local READONLY = 'Attempt to modify a readonly table'

-- From each protected table to the one behind it.
local behind = {}

local function refuse()
  error(READONLY, 2)
end

local function protect(contents)
  local protected = setmetatable({}, { __index = contents, __newindex = refuse })
  behind[protected] = contents
  return protected
end

-- To be called by a wrapper. The arguments from `...` on are the wrapper's own from the refused one on: there may be none.
local function refuse_argument(index, name, wanted, ...)
  local got = select('#', ...) == 0 and 'no value' or type((...))
  error('bad argument #' .. index .. " to '" .. name .. "' (" .. wanted .. ' expected, got ' .. got .. ')', 3)
end

local globals = {}
local env = protect(globals)

local globals_metatable = {
  __index = function(_, name)
    error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
  end,
}
setmetatable(globals, globals_metatable)
local globals_metatable_shown = protect(globals_metatable)

-- What the functions of libraries see, by the same name for all of them.
local library_env = {}

-- The functions of the base library that need no wrapping.
for _, name in pairs({ 'assert', 'error', 'gcinfo', 'ipairs', 'rawequal', 'select', 'tonumber', 'tostring', 'type' }) do
  globals[name] = _G[name]
end
globals._G = env
globals._VERSION = _VERSION

-- Reading and writing tables past their metatables.

function globals.getmetatable(value)
  if behind[value] ~= nil then
    return (value == env or value == library_env) and globals_metatable_shown or nil
  end
  return getmetatable(value)
end

function globals.setmetatable(...)
  local value, metatable = ...
  if behind[value] then
    error(READONLY, 0)
  end
  if type(value) ~= 'table' then
    refuse_argument(1, 'setmetatable', 'table', ...)
  end
  if metatable ~= nil and type(metatable) ~= 'table' or select('#', ...) < 2 then
    error("bad argument #2 to 'setmetatable' (nil or table expected)", 2)
  end
  local current = getmetatable(value)
  if type(current) == 'table' and rawget(current, '__metatable') ~= nil or current ~= nil and type(current) ~= 'table' then
    error('cannot change a protected metatable', 2)
  end
  return setmetatable(value, metatable)
end

function globals.rawget(...)
  local value, key = ...
  if type(value) ~= 'table' then
    refuse_argument(1, 'rawget', 'table', ...)
  end
  return rawget(behind[value] or value, key)
end

function globals.rawset(...)
  local value, key, new = ...
  if behind[value] then
    error(READONLY, 0)
  end
  if type(value) ~= 'table' then
    refuse_argument(1, 'rawset', 'table', ...)
  end
  return rawset(value, key, new)
end

function globals.next(...)
  local value, key = ...
  if type(value) ~= 'table' then
    refuse_argument(1, 'next', 'table', ...)
  end
  return next(behind[value] or value, key)
end

function globals.pairs(...)
  local value = ...
  local contents = behind[value]
  if contents then
    return function(_, key) return next(contents, key) end, value, nil
  end
  if type(value) ~= 'table' then
    refuse_argument(1, 'pairs', 'table', ...)
  end
  return next, value, nil
end

-- A huge range overflows in Lua's own `unpack`. Little more than this fits a Lua stack anyway, and whatever is passed to
-- the host takes one of its references.
local RESULTS_MAX = host.results_max

function globals.unpack(...)
  local value, from, to = ...
  if type(value) ~= 'table' then
    refuse_argument(1, 'unpack', 'table', ...)
  end
  if from ~= nil or to ~= nil or #value >= RESULTS_MAX then
    local first, last = tonumber(from or 1), tonumber(to or #value)
    if not first then
      refuse_argument(2, 'unpack', 'number', from)
    end
    if not last then
      refuse_argument(3, 'unpack', 'number', to)
    end
    if not (last - first < RESULTS_MAX) then
      error('too many results to unpack', 2)
    end
  end
  return unpack(value, from, to)
end

-- Errors: shown as what they stand for.

-- Where the library called from here raises a string, it begins with a place in this file.
local function shown(failure, place)
  if type(failure) == 'userdata' then
    return reveal(failure)
  end
  if type(failure) == 'string' and find(failure, 'sandbox:', 1, true) == 1 then
    return (gsub(failure, '^sandbox:%d+: ', place, 1))
  end
  return failure
end

local function caught(ok, ...)
  if ok then
    return true, ...
  end
  local failure = shown((...), '')
  if type(failure) == 'table' then
    local text = rawget(failure, 'err')
    if type(text) == 'string' then
      return false, text
    end
    return false, failure, text
  end
  return false, failure
end

function globals.pcall(...)
  if select('#', ...) == 0 then
    return false, 'attempt to call a boolean value'
  end
  return caught(pcall(...))
end

-- The handler is called when the error has been caught, not where it arose: without `debug` no script can tell. Lua calls
-- handlers with hooks off, so that one in a loop could not be interrupted.
local function handled(handler, ok, ...)
  if ok then
    return true, ...
  end
  local went_well, result = pcall(handler, shown((...), ''))
  if went_well then
    return false, result
  end
  return false, 'error in error handling'
end

function globals.xpcall(...)
  if select('#', ...) < 2 then
    error("bad argument #2 to 'xpcall' (value expected)", 2)
  end
  local body, handler = ...
  return handled(handler, pcall(body))
end

local function resumed(ok, ...)
  if ok then
    return true, ...
  end
  return false, shown((...), '')
end

-- Chunks. Bytecode would let a script reach past every check, so text only. Lua 5.1 keeps no reference to a chunk's name
-- while it reads the chunk and makes its own copy up to the first zero byte: so that copy is made, and held, here.

local CHUNK_LEN_MAX = 2 ^ 30

local function compile(text, name)
  if byte(text, 1) == 27 then
    return nil, "attempt to load bytecode: only text is allowed"
  end
  if #text > CHUNK_LEN_MAX then
    return nil, 'chunk is too long'
  end
  local zero = find(name, '%z')
  if zero then
    name = sub(name, 1, zero - 1)
  end
  local chunk, failure = loadstring(text, name)
  return chunk, failure, name
end

function globals.loadstring(...)
  local text, name = ...
  if type(text) == 'number' then
    text = tostring(text)
  elseif type(text) ~= 'string' then
    refuse_argument(1, 'loadstring', 'string', ...)
  end
  local chunk, failure = compile(text, tostring(name or text))
  if chunk then
    return chunk
  end
  return nil, failure
end

function globals.load(...)
  local reader, name = ...
  if type(reader) ~= 'function' then
    refuse_argument(1, 'load', 'function', ...)
  end
  local pieces = {}
  while true do
    local ok, piece = pcall(reader)
    if ok and piece ~= nil and type(piece) ~= 'string' and type(piece) ~= 'number' then
      ok, piece = pcall(error, 'reader function must return a string', 3)
    end
    if not ok then
      piece = shown(piece, '')
      -- As Redis does, whose handler of errors runs inside `load`.
      return nil, type(piece) == 'string' and { err = 'ERR ' .. piece } or piece
    end
    if piece == nil or piece == '' then
      break
    end
    pieces[#pieces + 1] = piece
  end
  local chunk, failure = compile(concat(pieces), tostring(name or '=(load)'))
  if chunk then
    return chunk
  end
  return nil, failure
end

-- What would change the collector for the scripts after this one does nothing.
function globals.collectgarbage(option, argument)
  if option == nil or option == 'collect' or option == 'count' or option == 'step' then
    return collectgarbage(option, argument)
  end
  if option == 'stop' or option == 'restart' or option == 'setpause' or option == 'setstepmul' then
    return 0
  end
  error("bad argument #1 to 'collectgarbage' (invalid option '" .. tostring(option) .. "')", 2)
end

-- Libraries.

local function copy(library, changes)
  local contents = {}
  for name, value in pairs(library) do
    contents[name] = value
  end
  for name, value in pairs(changes) do
    contents[name] = value
  end
  return contents
end

-- Messages name a function as it is called here.
local insert, remove, setn, sort = table.insert, table.remove, table.setn, table.sort

globals.table = protect(copy(table, {
  insert = function(value, ...)
    if behind[value] then
      error(READONLY, 0)
    end
    return insert(value, ...)
  end,
  remove = function(value, ...)
    if behind[value] then
      error(READONLY, 0)
    end
    return remove(value, ...)
  end,
  setn = function(value, ...)
    if behind[value] then
      error(READONLY, 0)
    end
    return setn(value, ...)
  end,
  sort = function(value, ...)
    if behind[value] then
      error(READONLY, 0)
    end
    return sort(value, ...)
  end,
}))

-- Lua 5.1 matches patterns recursively, without a bound on the depth: a long one would overflow the stack of the thread.
local PATTERN_LEN_MAX = 4000

local function check_pattern(pattern)
  if type(pattern) == 'string' and #pattern > PATTERN_LEN_MAX then
    error('pattern too complex', 3)
  end
end

local match, gmatch, gfind = string.match, string.gmatch, string.gfind

local strings = copy(string, {
  find = function(...)
    local _, pattern, _, plain = ...
    if not plain and type(pattern) == 'string' and #pattern > PATTERN_LEN_MAX and find(pattern, '[%^$*+?.([%%-]') then
      error('pattern too complex', 2)
    end
    return find(...)
  end,
  match = function(...)
    local _, pattern = ...
    check_pattern(pattern)
    return match(...)
  end,
  gmatch = function(...)
    local _, pattern = ...
    check_pattern(pattern)
    return gmatch(...)
  end,
  gfind = function(...)
    local _, pattern = ...
    check_pattern(pattern)
    return gfind(...)
  end,
  gsub = function(...)
    local _, pattern = ...
    check_pattern(pattern)
    return gsub(...)
  end,
})
globals.string = protect(strings)
local strings_metatable = getmetatable('')
strings_metatable.__index = strings
-- What `getmetatable('')` shows.
strings_metatable.__metatable = protect({ __index = globals.string })

globals.math = protect(copy(math, { random = host.random, randomseed = host.randomseed }))
globals.os = protect({ clock = os.clock })
globals.coroutine = protect(copy(coroutine, {
  resume = function(...)
    if type((...)) ~= 'thread' then
      error("bad argument #1 to '?' (coroutine expected)", 2)
    end
    return resumed(resume(...))
  end,
}))
for name, contents in pairs(host.libraries) do
  globals[name] = protect(contents)
end
globals.redis = protect(host.redis)
globals.server = globals.redis

-- Runs a compiled script: true and its result, or false, the error, and the source and line that it came from.

local source, line

local function handler(failure)
  local place
  source, line, place = position()
  return shown(failure, place)
end

-- The compiled scripts by number. The host can hold only some thousand references to Lua values.
local scripts = {}

local function execute(number)
  local ok, result = xpcall(scripts[number], handler)
  if ok then
    return true, result
  end
  return false, result, source, line
end

-- Keys and arguments out of one row.
local function split(count, ...)
  if count == 0 then
    return {}, { ... }
  elseif count == 1 then
    return { (...) }, { select(2, ...) }
  end
  local keys = { ... }
  for index = count + 1, #keys do
    keys[index] = nil
  end
  return keys, { select(count + 1, ...) }
end

-- Called with the number of keys, then the keys and the arguments.
local function run(number, count, ...)
  globals.KEYS, globals.ARGV = split(count, ...)
  return execute(number)
end

-- The same with lists, where there are too many for the stack.
local function run_many(number, keys, argv)
  globals.KEYS, globals.ARGV = keys, argv
  return execute(number)
end

-- Libraries of functions. They see what scripts see, but for KEYS and ARGV; while one is loaded, nothing but `redis`, with
-- little in it.

local library_globals = setmetatable({}, globals_metatable)
for name, value in pairs(globals) do
  library_globals[name] = value
end
library_globals.KEYS, library_globals.ARGV = nil, nil
library_globals._G = library_env
local library_metatable = { __index = library_globals, __newindex = refuse }
setmetatable(library_env, library_metatable)
behind[library_env] = library_globals

-- What the library that is being loaded has registered; nil while none is.
local registered

local function refuse_registration(text)
  error({ err = 'ERR ' .. text }, 0)
end

local function is_text(value)
  return type(value) == 'string' or type(value) == 'number'
end

-- The named arguments of `redis.register_function`, each with what reads it.
local named = {
  function_name = function(value)
    if not is_text(value) then
      refuse_registration('function_name argument given to redis.register_function must be a string')
    end
    return tostring(value)
  end,
  description = function(value)
    if not is_text(value) then
      refuse_registration('description argument given to redis.register_function must be a string')
    end
    return tostring(value)
  end,
  callback = function(value)
    if type(value) ~= 'function' then
      refuse_registration('callback argument given to redis.register_function must be a function')
    end
    return value
  end,
  flags = function(value)
    if type(value) ~= 'table' then
      refuse_registration('flags argument to redis.register_function must be a table representing function flags')
    end
    local flags = {}
    while rawget(value, #flags + 1) ~= nil do
      local flag = rawget(value, #flags + 1)
      if not is_text(flag) or not host.is_flag(tostring(flag)) then
        refuse_registration('unknown flag given')
      end
      flags[#flags + 1] = tostring(flag)
    end
    return flags
  end,
}

local function register_function(...)
  if registered == nil then
    refuse_registration('redis.register_function can only be called on FUNCTION LOAD command')
  end
  local count = select('#', ...)
  if count < 1 or count > 2 then
    refuse_registration('wrong number of arguments to redis.register_function')
  end
  local first, second = ...
  local new = { flags = {} }
  if count == 1 then
    if type(first) ~= 'table' then
      refuse_registration(
        'calling redis.register_function with a single argument is only applicable to Lua table (representing named arguments).'
      )
    end
    for key, value in next, first do
      if not is_text(key) then
        refuse_registration('named argument key given to redis.register_function is not a string')
      end
      key = lower(key)
      local read = named[key]
      if not read then
        refuse_registration('unknown argument given to redis.register_function')
      end
      new[key] = read(value)
    end
    if not new.function_name then
      refuse_registration('redis.register_function must get a function name argument')
    end
    if not new.callback then
      refuse_registration('redis.register_function must get a callback argument')
    end
  else
    if not is_text(first) then
      refuse_registration('first argument to redis.register_function must be a string')
    end
    if type(second) ~= 'function' then
      refuse_registration('second argument to redis.register_function must be a function')
    end
    new.function_name, new.callback = tostring(first), second
  end
  if not host.is_name(new.function_name) then
    refuse_registration(host.invalid_name)
  end
  for _, other in pairs(registered) do
    if lower(other.function_name) == lower(new.function_name) then
      refuse_registration('Function already exists in the library')
    end
  end
  registered[#registered + 1] = new
end

local loading = setmetatable({ register_function = register_function, log = host.redis.log }, globals_metatable)
for _, name in pairs({ 'LOG_DEBUG', 'LOG_VERBOSE', 'LOG_NOTICE', 'LOG_WARNING', 'REDIS_VERSION', 'REDIS_VERSION_NUM' }) do
  loading[name] = host.redis[name]
end
local loading_globals = setmetatable({ redis = protect(loading) }, globals_metatable)
loading_globals.server = loading_globals.redis

-- The functions of all libraries by number.
local functions = {}

-- Runs a library's text: true and what it has registered, or false and the error. The functions are numbered from `first` on.
local function load_library(chunk, first)
  registered = {}
  library_metatable.__index = loading_globals
  behind[library_env] = loading_globals
  local ok, failure = xpcall(setfenv(chunk, library_env), handler)
  library_metatable.__index = library_globals
  behind[library_env] = library_globals
  local found = registered
  registered = nil
  if not ok then
    return false, failure
  end
  for index = 1, #found do
    functions[first + index - 1] = found[index].callback
    found[index].callback = nil
  end
  return true, found
end

local function call_many(number, keys, argv)
  local ok, result = xpcall(function()
    local result = functions[number](keys, argv)
    return result
  end, handler)
  if ok then
    return true, result
  end
  return false, result, source, line
end

-- Calls a function with the number of keys, then the keys and the arguments.
local function call(number, count, ...)
  return call_many(number, split(count, ...))
end

return env, scripts, run, run_many, functions, load_library, call, call_many
