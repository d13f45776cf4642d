//! The machine, in words.

use serde::Serialize;
use std::fs;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) virtual_machine: bool,
    pub(crate) memory_gib: u64,
    pub(crate) kernel: String,
    pub(crate) system: String,
}

impl Machine {
    /// Of this one.
    pub(crate) fn read() -> Self {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        Self::parse(
            &text("/proc/cpuinfo"),
            &text("/proc/meminfo"),
            &text("/proc/sys/kernel/osrelease"),
            &text("/etc/os-release"),
        )
    }

    fn parse(cpuinfo: &str, meminfo: &str, kernel: &str, os_release: &str) -> Self {
        let after = |text: &str, key: &str, separator| {
            let line = text.lines().find(|line| line.starts_with(key))?;
            Some(
                line.split_once(separator)?
                    .1
                    .trim()
                    .trim_matches('"')
                    .to_owned(),
            )
        };
        let memory_kib = after(meminfo, "MemTotal", ':')
            .and_then(|text| text.strip_suffix(" kB")?.parse::<u64>().ok());
        Machine {
            cpu: after(cpuinfo, "model name", ':').unwrap_or_else(|| "unknown CPU".to_owned()),
            cores: cpuinfo
                .lines()
                .filter(|line| line.starts_with("processor"))
                .count()
                .max(1),
            virtual_machine: after(cpuinfo, "flags", ':')
                .is_some_and(|flags| flags.split(' ').any(|f| f == "hypervisor")),
            memory_gib: (memory_kib.unwrap_or(0) + (1 << 19)) >> 20,
            // What follows the dash names a builder, not a version.
            kernel: kernel
                .trim()
                .split('-')
                .next()
                .unwrap_or_default()
                .to_owned(),
            system: after(os_release, "PRETTY_NAME", '=').unwrap_or_else(|| "Linux".to_owned()),
        }
    }

    /// For the name of a run's folder: `intel-xeon-processor`.
    pub(crate) fn slug(&self) -> String {
        let cpu = self
            .cpu
            .to_lowercase()
            .replace("(r)", "")
            .replace("(tm)", "");
        let words = cpu
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty());
        words.take(4).collect::<Vec<_>>().join("-")
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Machine {
            cpu,
            cores,
            virtual_machine,
            memory_gib,
            kernel,
            system,
        } = self;
        let cores_word = if *cores == 1 { "core" } else { "cores" };
        let place = if *virtual_machine {
            " of a virtual machine"
        } else {
            ""
        };
        write!(
            f,
            "{cpu}, {cores} {cores_word}{place}, {memory_gib} GiB memory, Linux {kernel}, {system}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_in_words() {
        let machine = Machine::parse(
            "processor\t: 0\nmodel name\t: Intel(R) Xeon(R) CPU\nflags\t\t: fpu hypervisor\nprocessor\t: 1\n",
            "MemTotal:       16303428 kB\n",
            "6.12.4-amd64\n",
            "PRETTY_NAME=\"Debian GNU/Linux 13\"\n",
        );
        assert_eq!(
            machine.to_string(),
            "Intel(R) Xeon(R) CPU, 2 cores of a virtual machine, 16 GiB memory, Linux 6.12.4, Debian GNU/Linux 13"
        );
        assert_eq!(machine.slug(), "intel-xeon-cpu");
    }
}
