//! What scripts do beside answering: effects, limits, what they may not do.

use std::sync::{Arc, mpsc};

use crate::testkit::{Bench, check, check_effects};
use crate::{CommandError, ScriptFate};

fn eval(bench: &mut Bench, script: &str) -> String {
    String::from_utf8_lossy(&bench.run(&[b"EVAL", script.as_bytes(), b"0"])).into_owned()
}

#[test]
fn what_a_script_wrote_is_one_unit_also_when_it_fails() {
    check_effects(
        r#"EVAL "redis.call('SET', 'a', 1) redis.call('INCR', 'a') error('x')" 0"#,
        "MULTI | SET a 1 | INCR a | EXEC",
    );
    check_effects(r#"EVAL "redis.call('SET', 'a', 1)" 0"#, "SET a 1");
    check_effects(r#"EVAL "return redis.call('GET', 'a')" 0"#, "");
    check_effects(
        r#"MULTI | SET a 1 | EVAL "redis.call('INCR', 'a') redis.call('INCR', 'b')" 0 | EXEC"#,
        "MULTI | SET a 1 | INCR a | INCR b | EXEC",
    );
}

#[test]
fn a_script_inside_a_transaction_answers_like_any_command() {
    check(
        r#"MULTI | EVAL "return {1, 'x'}" 0 | EVAL "error('x')" 0 | GET a | EXEC"#,
        "OK | QUEUED | QUEUED | QUEUED | [[1 x] ERR user_script:1: x script: 9851144f39f03a0d597a980c5aa79c80cb696891, on @user_script:1. (nil)]",
    );
}

#[test]
fn time_stands_still_and_expired_keys_are_gone() {
    check(
        r#"SET a x PX 10 | @wait 20 | EVAL "return {redis.call('EXISTS', 'a'), redis.call('SET', 'a', 'y'), redis.call('GET', 'a')}" 0"#,
        "OK | ok | [0 OK y]",
    );
}

#[test]
fn the_reply_speaks_the_protocol_of_the_client() {
    check(
        r#"@resp 3 | EVAL "return {map={a=1}}" 0 | EVAL "return true" 0 | EVAL "return false" 0 | EVAL "redis.setresp(3) return true" 0 |
           EVAL "return {double=1.5}" 0 | EVAL "return {set={a=true}}" 0 | EVAL "return {big_number='12'}" 0 |
           EVAL "return {verbatim_string={format='txt', string='hi'}}" 0 | EVAL "return redis.call('GET', 'a') == false" 0"#
            .replace("|\n          ", "|")
            .as_str(),
        "ok | {a: 1} | 1 | (nil) | #t | ,1.5 | ~[a] | 12 | hi | 1",
    );
}

#[test]
fn lines_for_the_log() {
    let mut bench = Bench::new();
    eval(
        &mut bench,
        "redis.log(redis.LOG_WARNING, 'a', 1, 'b\\n') redis.log(0, '')",
    );
    assert_eq!(
        bench.shell.script_lines,
        [(3, "a 1 b\\n".to_owned()), (0, String::new())]
    );
}

#[test]
fn nothing_stays_for_the_next_script() {
    let mut bench = Bench::new();
    for script in [
        "rawset(_G, 'leak', 1)",
        "leak = 1",
        "table.insert(redis, 1)",
        "getmetatable('').__index = nil",
        "getmetatable(_G).__index = nil",
        "string.upper = nil",
        "local _, t = pairs(string) t.upper = nil",
        "local f, t = pairs(redis) rawset(t, 'call', nil)",
        "table.setn(redis, 5)",
        "table.sort(redis)",
        "table.remove(redis)",
        "KEYS = nil",
        "collectgarbage('stop')",
        "cjson.encode_number_precision(3)",
        "math.randomseed(1)",
        "error({err = 'x'})",
    ] {
        eval(&mut bench, script);
        let check = "local t = {} for k in pairs(_G) do t[#t + 1] = k end table.sort(t) \
                     return table.concat(t, ' ') .. #redis .. ('x'):upper() .. type(redis.call) .. cjson.encode(0.12345)";
        assert_eq!(
            eval(&mut bench, check),
            eval(&mut Bench::new(), check),
            "after {script}"
        );
    }
}

/// What could reach past Lua's own checks must not get far.
#[test]
fn what_is_unsafe_in_lua_5_1_is_refused() {
    let mut bench = Bench::new();
    for (script, reply) in [
        (
            "return {loadstring(string.dump(function() return 1 end))}",
            "*0\r\n",
        ),
        (
            "return select(2, loadstring(string.dump(function() end)))",
            "$46\r\nattempt to load bytecode: only text is allowed\r\n",
        ),
        (
            "return {pcall(unpack, {}, -2147483648, 2147483647)}",
            "too many results to unpack",
        ),
        (
            "return {pcall(unpack, {}, 0/0, 5)}",
            "too many results to unpack",
        ),
        (
            "return {pcall(unpack, {}, 1, 2^31)}",
            "too many results to unpack",
        ),
    ] {
        let got = eval(&mut bench, script);
        assert!(got.contains(reply), "{script}: {got}");
    }
    let bytecode = bench.run(&[b"EVAL", b"\x1bLua", b"0"]);
    assert!(bytecode.starts_with(b"-ERR Error compiling script"));
    // Names of chunks, while garbage is collected as the chunk is read.
    let names = "for i = 1, 200 do local name = ('n'):rep(i) .. '\\0' .. i \
                 local text = 'return ' .. ('\"' .. i .. '\" .. '):rep(50) .. '1' \
                 collectgarbage('step', 1000) assert(loadstring(text, name))() assert(loadstring(text .. '--\\0' .. i))() end return 1";
    assert_eq!(eval(&mut bench, names), ":1\r\n");
}

#[test]
fn deep_things_end_in_errors() {
    let mut bench = Bench::new();
    for (script, reply) in [
        ("local t = {} t[1] = t return t", "reached lua stack limit"),
        (
            "local t = {map = {}} t.map.a = t return t",
            "reached lua stack limit",
        ),
        (
            "local t = {set = {}} t.set[t] = true return t",
            "reached lua stack limit",
        ),
        (
            "local t = {} for i = 1, 100000 do t['x' .. i] = true end return {set = t}",
            "*100000",
        ),
        (
            "local t = {} for i = 1, 7590 do t[i] = 'x' .. i end return redis.call('DEL', unpack(t))",
            ":0",
        ),
        (
            "local t = {} for i = 1, 7590 do t[i] = {'x'} end return #cmsgpack.pack(unpack(t))",
            ":22770",
        ),
        (
            "local t = {} for i = 1, 20000 do t[i] = 'x' end return redis.call('DEL', unpack(t))",
            "too many results",
        ),
        (
            "return {cmsgpack.unpack(('\\161x'):rep(20000))}",
            "too many return values",
        ),
        (
            "return {struct.unpack(('s'):rep(20000), ('x\\0'):rep(20000))}",
            "too many results",
        ),
        (
            "return {string.byte(('x'):rep(20000), 1, -1)}",
            "string slice too long",
        ),
        (
            "local t = {} t[1] = t return cjson.encode(t)",
            "excessive nesting",
        ),
        (
            "cjson.encode_max_depth(2147483647) local t = {} t[1] = t return cjson.encode(t)",
            "excessive nesting",
        ),
        (
            "cjson.decode_max_depth(2147483647) return cjson.decode(('['):rep(1000000))",
            "too many nested",
        ),
        (
            "return cmsgpack.unpack(('\\145'):rep(1000000))",
            "Bad data format",
        ),
        (
            "local function f() return 1 + f() end return f()",
            "stack overflow",
        ),
        (
            "local f = function() end for i = 1, 300 do local g = f f = function() return (pcall(g)) end end return f()",
            ":1",
        ),
        (
            "return ('a'):rep(200000):find(('a?'):rep(200000))",
            "pattern too complex",
        ),
        (
            "return ('a'):rep(200000):find(('(a'):rep(30))",
            "unfinished capture",
        ),
        (
            "return loadstring('return ' .. ('('):rep(100000) .. '1')",
            "$-1",
        ),
        (
            "return string.rep('x', 100):gsub('.', function() error('e') end)",
            "user_script:1: e",
        ),
    ] {
        let got = eval(&mut bench, script);
        assert!(
            got.contains(reply),
            "{script}: {}",
            &got[got.len().saturating_sub(200)..]
        );
    }
}

/// A server's session: its clock goes on by a millisecond whenever it is asked.
fn busy(answer: impl FnMut(u32) -> ScriptFate + 'static) -> Bench {
    let mut bench = Bench::new();
    bench.engine.settings.busy_reply_threshold_ms.set(3);
    bench.shell.busy = Some(Box::new(answer));
    bench
}

#[test]
fn a_killed_script_ends_whatever_it_catches() {
    for script in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "local function f() while true do pcall(f) end end f()",
        "local co = coroutine.wrap(function() while true do end end) while true do pcall(co) end",
        "while true do xpcall(function() while true do end end, function() while true do end end) end",
        "while true do redis.pcall('GET', 'a') end",
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
        "while true do for w in ('a'):rep(1000):gmatch('a') do end end",
        "table.sort({3, 2, 1}, function() while true do end end)",
        "setmetatable({}, {__index = function() while true do end end}).x()",
        "return load(function() return 'x ' end)",
    ] {
        let mut bench = busy(|asked| {
            if asked < 5 {
                ScriptFate::Continue
            } else {
                ScriptFate::Kill
            }
        });
        let reply = eval(&mut bench, script);
        assert!(
            reply.starts_with("-ERR Script killed by user with SCRIPT KILL... script: "),
            "{script}: {reply}"
        );
        assert!(
            reply.ends_with("on @user_script:1.\r\n"),
            "{script}: {reply}"
        );
        // The next one runs as if nothing had been, and is not busy.
        bench.shell.busy = None;
        assert_eq!(
            eval(
                &mut bench,
                "local n = 0 for i = 1, 100000 do n = n + 1 end return n"
            ),
            ":100000\r\n"
        );
        assert!(!bench.engine.scripts.running().is_busy());
    }
}

/// What a script answers when SCRIPT KILL comes as soon as it is busy, and what SCRIPT KILL is told.
fn killed(script: &str) -> (String, Result<(), CommandError>) {
    let mut bench = busy(|_| ScriptFate::Continue);
    let engine = Arc::clone(&bench.engine);
    let (tell, told) = mpsc::channel();
    bench.shell.busy = Some(Box::new(move |asked| {
        if asked == 1 {
            let other = Bench::of(Arc::clone(&engine)).run(&[b"GET", b"a"]);
            assert_eq!(
                String::from_utf8_lossy(&other),
                "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n"
            );
            tell.send(engine.scripts.running().kill(false))
                .expect("a receiver");
        }
        ScriptFate::Continue
    }));
    let reply = eval(&mut bench, script);
    (reply, told.try_recv().expect("the script was busy"))
}

#[test]
fn script_kill_ends_a_busy_script_that_has_not_written() {
    let (reply, told) = killed("redis.call('GET', 'a') while true do end");
    assert!(
        reply.starts_with("-ERR Script killed by user with SCRIPT KILL... script: "),
        "{reply}"
    );
    assert_eq!(told, Ok(()));
    let (reply, told) = killed("redis.call('SET', 'a', 1) for i = 1, 1000000 do end return 1");
    assert_eq!(reply, ":1\r\n");
    let told = told.expect_err("a refusal").to_string();
    assert!(
        told.starts_with("UNKILLABLE Sorry the script already executed write commands"),
        "{told}"
    );
    check("SCRIPT KILL", "NOTBUSY No scripts in execution right now.");
}

#[test]
fn keys_and_arguments_of_any_number() {
    for keys in [0, 1, 2, 5, 150, 300] {
        for argv in [0, 1, 2, 5, 150, 300] {
            let script = "return {#KEYS, #ARGV, KEYS[#KEYS] or 'none', ARGV[1] or 'none', ARGV[#ARGV] or 'none', table.maxn(KEYS)}";
            let mut command = vec!["EVAL".to_owned(), script.into(), keys.to_string()];
            command.extend((1..=keys + argv).map(|number| number.to_string()));
            let command: Vec<&[u8]> = command.iter().map(String::as_bytes).collect();
            let reply = Bench::new().run(&command);
            let or_none = |there: bool, number: usize| {
                let text = if there {
                    number.to_string()
                } else {
                    "none".into()
                };
                format!("${}\r\n{text}\r\n", text.len())
            };
            let expected = format!(
                "*6\r\n:{keys}\r\n:{argv}\r\n{}{}{}:{keys}\r\n",
                or_none(keys > 0, keys),
                or_none(argv > 0, keys + 1),
                or_none(argv > 0, keys + argv),
            );
            assert_eq!(String::from_utf8_lossy(&reply), expected);
        }
    }
}

#[test]
fn thousands_of_scripts_can_be_loaded_and_run() {
    let mut bench = Bench::new();
    let mut names = Vec::new();
    for number in 0..9000 {
        let name = bench.run(&[b"SCRIPT", b"LOAD", format!("return {number}").as_bytes()]);
        names.push(name[5..45].to_vec());
    }
    for (number, name) in names.iter().enumerate() {
        let reply = bench.run(&[b"EVALSHA", name, b"0"]);
        assert_eq!(reply, format!(":{number}\r\n").as_bytes());
    }
    bench.run(&[b"SCRIPT", b"FLUSH"]);
    let reply = bench.run(&[b"EVALSHA", &names[0], b"0"]);
    assert!(reply.starts_with(b"-NOSCRIPT"));
}

#[test]
fn what_a_large_script_leaves_behind_is_given_back() {
    for end in ["return #t", "error('x')"] {
        let mut bench = Bench::new();
        let fill = "local t = {} for i = 1, 200 do t[i] = string.rep('x', 1e6) .. i end";
        eval(&mut bench, &format!("{fill} {end}"));
        let used = bench.executor.interpreter.used_bytes();
        assert!(used < 20 << 20, "{used} bytes");
    }
}

#[test]
fn scripts_that_come_once_leave_no_memory_behind() {
    let mut bench = Bench::new();
    let mut used = |from: u32, to: u32| {
        for number in from..to {
            let reply = eval(
                &mut bench,
                &format!("local t = {{}} for i = 1, 50 do t[i] = 'x' .. i end return {number}"),
            );
            assert_eq!(reply, format!(":{number}\r\n"));
        }
        (
            bench.executor.interpreter.used_bytes(),
            bench.engine.scripts.len(),
        )
    };
    let (before, _) = used(0, 2000);
    let (after, cached) = used(2000, 10_000);
    assert_eq!(cached, 500);
    assert!(after < before * 3 / 2, "{before} bytes became {after}");
}
