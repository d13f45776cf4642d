//! A program on a terminal, typed at while one looks at the screen. `script(1)` makes the terminal.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// No answer takes that long, on any machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: Arc<Mutex<Vec<u8>>>,
    /// How much of it has been waited for.
    seen: usize,
}

impl Terminal {
    /// Starts `line`, a shell's command line.
    pub(crate) fn start(line: &str, env: &[(&str, &str)]) -> Terminal {
        let mut child = Command::new("script")
            // Wide enough for hints to be seen.
            .args(["-qec", &format!("stty cols 200; exec {line}"), "/dev/null"])
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let screen = Arc::new(Mutex::new(Vec::new()));
        let (mut output, shared) = (child.stdout.take().unwrap(), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(len @ 1..) = output.read(&mut chunk) {
                shared.lock().unwrap().extend_from_slice(&chunk[..len]);
            }
        });
        Terminal {
            keys: child.stdin.take().unwrap(),
            child,
            screen,
            seen: 0,
        }
    }

    /// Waits until `text` comes after what was waited for before.
    pub(crate) fn shows(&mut self, text: &str) -> &mut Terminal {
        let begun = Instant::now();
        loop {
            let screen = self.screen.lock().unwrap().clone();
            let new = &screen[self.seen..];
            if let Some(at) = new
                .windows(text.len())
                .position(|window| window == text.as_bytes())
            {
                self.seen += at + text.len();
                return self;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{text:?} does not come; there is {}",
                new.escape_ascii()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Presses keys: `\r` is Enter, `\x03` Ctrl-C.
    pub(crate) fn press(&mut self, keys: &str) -> &mut Terminal {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
        self
    }

    /// All that was shown.
    pub(crate) fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    /// Waits for the end of the program; its status.
    pub(crate) fn ends(&mut self) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(begun.elapsed() < PATIENCE, "no end: {}", self.screen());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
