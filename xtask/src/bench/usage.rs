//! What a process has used, from `/proc`.

use anyhow::{Context, Result};
use std::fs;

/// CPU time that a process used, all threads together, since it started.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CpuUsage {
    /// Nanoseconds on a core (`schedstat`: exact to a clock tick per running thread).
    pub(crate) on_cpu_ns: u64,
    /// Nanoseconds ready to run but waiting for a core: other work was on it.
    pub(crate) waiting_ns: u64,
    /// Clock ticks (10 ms) in user mode and in the kernel. Coarse, used only to split `on_cpu_ns`.
    user_ticks: u64,
    system_ticks: u64,
}

impl CpuUsage {
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let stat = read(&format!("/proc/{pid}/stat"))?;
        let (user_ticks, system_ticks) = ticks(&stat).context("unreadable /proc/PID/stat")?;
        let mut usage = CpuUsage {
            user_ticks,
            system_ticks,
            ..CpuUsage::default()
        };
        for thread in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
            // A thread may end between the two reads.
            let Ok(text) = fs::read_to_string(thread.path().join("schedstat")) else {
                continue;
            };
            let mut numbers = text
                .split_ascii_whitespace()
                .filter_map(|word| word.parse::<u64>().ok());
            usage.on_cpu_ns += numbers.next().unwrap_or(0);
            usage.waiting_ns += numbers.next().unwrap_or(0);
        }
        Ok(usage)
    }

    /// What was used from `earlier` until `self`.
    pub(crate) fn since(self, earlier: CpuUsage) -> CpuUsage {
        CpuUsage {
            on_cpu_ns: self.on_cpu_ns.saturating_sub(earlier.on_cpu_ns),
            waiting_ns: self.waiting_ns.saturating_sub(earlier.waiting_ns),
            user_ticks: self.user_ticks.saturating_sub(earlier.user_ticks),
            system_ticks: self.system_ticks.saturating_sub(earlier.system_ticks),
        }
    }

    /// Nanoseconds in user mode and in the kernel.
    pub(crate) fn split_ns(self) -> (f64, f64) {
        let ticks = self.user_ticks + self.system_ticks;
        let user_share = if ticks == 0 {
            0.0
        } else {
            self.user_ticks as f64 / ticks as f64
        };
        let total = self.on_cpu_ns as f64;
        (total * user_share, total * (1.0 - user_share))
    }
}

/// Fields 14 and 15. The command's name, field 2, is in brackets and may hold anything.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// Resident memory in bytes.
pub(crate) fn resident_bytes(pid: u32) -> Result<u64> {
    vm_rss(&read(&format!("/proc/{pid}/status"))?).context("no VmRSS in /proc/PID/status")
}

fn vm_rss(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_proc_says() {
        let stat = "12 (a ) b) S 1 2 3 4 5 6 7 8 9 10 700 300 0 0 20 0 1 0 99";
        assert_eq!(ticks(stat), Some((700, 300)));
        assert_eq!(ticks("nonsense"), None);
        assert_eq!(
            vm_rss("VmPeak:\t  9 kB\nVmRSS:\t    1024 kB\n"),
            Some(1024 * 1024)
        );
        assert_eq!(vm_rss("VmPeak:\t  9 kB\n"), None);
    }

    #[test]
    fn ticks_split_the_exact_time() {
        let usage = CpuUsage {
            on_cpu_ns: 1_000,
            waiting_ns: 0,
            user_ticks: 3,
            system_ticks: 1,
        };
        assert_eq!(usage.split_ns(), (750.0, 250.0));
    }

    #[test]
    fn own_process_has_used_something() {
        let me = std::process::id();
        assert!(CpuUsage::of(me).expect("readable").on_cpu_ns > 0);
        assert!(resident_bytes(me).expect("readable") > 100_000);
    }
}
