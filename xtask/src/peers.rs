//! `cargo xtask peers`: brings the servers that we compare with onto a Debian machine.
//!
//! Valkey 9.1 and Redis 8 are in Debian's unstable suite. A private apt root inside the folder points
//! at that suite, on the mirror which the machine itself is configured for, and with the machine's
//! Debian keys, so what is fetched is signature-checked. The packages and everything that they depend
//! on, the C library included, are unpacked into the folder (no maintainer script runs, the system's
//! package database is not touched), and launchers start them with their own loader and libraries.
//! So neither root nor a particular release of Debian is needed, and removing the folder undoes all.
//!
//! ```text
//! bench/peers/bin/valkey-server …   launchers
//!             tree/                 the unpacked packages
//!             apt/                  the private apt root: sources, package lists
//!             VERSIONS              what is unpacked, from where
//! ```

use crate::paths;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The suite that has both servers in the versions we compare with.
const SUITE: &str = "sid";
const PACKAGES: [&str; 4] = [
    "valkey-server",
    "valkey-tools",
    "redis-server",
    "redis-tools",
];
/// What gets a launcher. All of them answer `--version`.
const PROGRAMS: [&str; 6] = [
    "valkey-server",
    "valkey-cli",
    "valkey-benchmark",
    "redis-server",
    "redis-cli",
    "redis-benchmark",
];
/// Their file checkers get a launcher too.
const CHECKERS: [&str; 4] = [
    "valkey-check-aof",
    "valkey-check-rdb",
    "redis-check-aof",
    "redis-check-rdb",
];
/// The versions which the goals were set against: program, start of the version.
const WANTED: [(&str, &str); 2] = [("valkey-server", "9.1."), ("redis-server", "8.")];
const DEBIAN_KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Bring Valkey 9.1 and Redis 8 into a folder (Debian only; nothing is installed over the system).
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where to put them [default: bench/peers in this repository]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Fetch them again even if they are there
    #[arg(long)]
    refresh: bool,
}

/// The folder that `bench` and the tests look into unless told otherwise.
pub(crate) fn default_dir() -> PathBuf {
    paths::workspace().join("bench/peers")
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let dir = match &args.dir {
        Some(dir) => std::path::absolute(dir)?,
        None => default_dir(),
    };
    if !args.refresh
        && let Ok(versions) = versions(&dir)
    {
        println!(
            "{} has them already (--refresh fetches them again):",
            dir.display()
        );
        print_versions(&dir, &versions);
        return Ok(());
    }
    for tool in ["apt-get", "dpkg", "dpkg-deb"] {
        let found = Command::new(tool)
            .arg("--version")
            .output()
            .is_ok_and(|output| output.status.success());
        ensure!(
            found,
            "`{tool}` is missing: this verb unpacks Debian packages and runs on Debian and its descendants only"
        );
    }

    let mirror = mirror()?;
    println!(
        "Fetching from {mirror} (this machine's Debian mirror), suite {SUITE}, into {}",
        dir.display()
    );
    let apt = PrivateApt::new(&dir, &mirror)?;
    apt.run("reading the suite's package list", &["update"])?;
    let mut install = vec!["install", "--yes", "--download-only"];
    install.extend(PACKAGES);
    apt.run("fetching the packages", &install)?;
    let unpacked = apt.unpack(&dir)?;
    write_launchers(&dir)?;
    apt.remove_archives();

    let versions = versions(&dir).context("the unpacked servers do not start")?;
    println!(
        "Unpacked {} packages; nothing was installed over the system.",
        unpacked.len()
    );
    print_versions(&dir, &versions);
    let mut record = versions
        .iter()
        .map(|(_, text)| format!("{text}\n"))
        .collect::<String>();
    record.push_str(&format!("\nunpacked from {SUITE}:\n"));
    record.extend(unpacked.iter().map(|name| format!("{name}\n")));
    fs::write(dir.join("VERSIONS"), record)?;
    for (program, wanted) in WANTED {
        let found = versions
            .iter()
            .find(|(name, _)| *name == program)
            .and_then(|(_, text)| version_number(text));
        if !found.is_some_and(|version| version.starts_with(wanted)) {
            println!(
                "note: the suite has moved on: {program} is {}, the goals were set against {wanted}x",
                found.unwrap_or("?")
            );
        }
    }
    Ok(())
}

/// The Debian mirror that the machine's own sources name.
fn mirror() -> Result<String> {
    let output = Command::new("apt-get")
        .args([
            "indextargets",
            "--format",
            "$(REPO_URI) $(ORIGIN) $(LABEL)",
            "Created-By: Packages",
        ])
        .output()
        .context("cannot run apt-get")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    choose_mirror(&text).map(str::to_owned).context(
        "apt's sources on this machine name no Debian mirror (see /etc/apt/sources.list and /etc/apt/sources.list.d)",
    )
}

/// Picks the main archive from lines of `URI ORIGIN LABEL`. Origin and label are known only once
/// `apt-get update` has run; until then, take the first archive that is not the security one.
fn choose_mirror(targets: &str) -> Option<&str> {
    let uri_of = |line: &'static str| {
        move |candidate: &&str| {
            candidate
                .split_once(' ')
                .is_some_and(|(_, rest)| rest == line)
        }
    };
    targets
        .lines()
        .find(uri_of("Debian Debian"))
        .or_else(|| {
            targets
                .lines()
                .find(|line| line.ends_with("$(LABEL)") && !line.contains("security"))
        })
        .and_then(|line| line.split(' ').next())
}

/// An apt that keeps its sources, lists and downloads inside our folder, and believes that nothing is
/// installed, so that it fetches every dependency.
struct PrivateApt {
    root: PathBuf,
}

impl PrivateApt {
    fn new(dir: &Path, mirror: &str) -> Result<Self> {
        let root = dir.join("apt");
        for folder in ["lists/partial", "archives/partial"] {
            fs::create_dir_all(root.join(folder))
                .with_context(|| format!("cannot write to {}", dir.display()))?;
        }
        let keys = if Path::new(DEBIAN_KEYS).exists() {
            format!("[signed-by={DEBIAN_KEYS}] ")
        } else {
            String::new()
        };
        fs::write(
            root.join("sources.list"),
            format!("deb {keys}{mirror} {SUITE} main\n"),
        )?;
        fs::write(root.join("status"), "")?;
        Ok(Self { root })
    }

    fn run(&self, what: &str, args: &[&str]) -> Result<()> {
        println!("… {what}");
        let mut command = Command::new("apt-get");
        for (option, path) in [
            ("Dir::Etc::SourceList", self.root.join("sources.list")),
            ("Dir::Etc::SourceParts", PathBuf::from("/dev/null")),
            ("Dir::State::Lists", self.root.join("lists")),
            ("Dir::State::Status", self.root.join("status")),
            ("Dir::Cache", self.root.clone()),
            ("Dir::Cache::Archives", self.root.join("archives")),
        ] {
            command
                .arg("-o")
                .arg(format!("{option}={}", path.display()));
        }
        // The hooks and the lock of the system's package manager are not ours: we install nothing.
        for option in [
            "APT::Install-Recommends=false",
            "APT::Sandbox::User=",
            "APT::Update::Pre-Invoke::=",
            "Acquire::Languages=none",
            "Debug::NoLocking=true",
        ] {
            command.args(["-o", option]);
        }
        let output = command.args(args).output().context("cannot run apt-get")?;
        if !output.status.success() {
            bail!(
                "{what} failed: apt-get says:\n{}",
                String::from_utf8_lossy(&output.stderr).trim_end()
            );
        }
        Ok(())
    }

    /// Unpacks everything downloaded into a fresh `tree/` and returns the packages' file names.
    fn unpack(&self, dir: &Path) -> Result<Vec<String>> {
        let tree = dir.join("tree");
        if tree.exists() {
            fs::remove_dir_all(&tree)?;
        }
        let mut archives = fs::read_dir(self.root.join("archives"))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .collect::<Vec<_>>();
        archives.sort();
        ensure!(!archives.is_empty(), "apt-get downloaded nothing");
        for archive in &archives {
            let output = Command::new("dpkg-deb")
                .arg("--extract")
                .arg(archive)
                .arg(&tree)
                .output()?;
            ensure!(
                output.status.success(),
                "cannot unpack {}: {}",
                archive.display(),
                String::from_utf8_lossy(&output.stderr).trim_end()
            );
        }
        Ok(archives
            .iter()
            .filter_map(|path| Some(path.file_stem()?.to_string_lossy().replace("%3a", ":")))
            .collect())
    }

    fn remove_archives(&self) {
        // Only space: the next --refresh makes them anew.
        let _ = fs::remove_dir_all(self.root.join("archives"));
    }
}

/// Writes `bin/PROGRAM` for each program: a script that becomes the program (same process), run by the
/// tree's own loader with the tree's libraries.
fn write_launchers(dir: &Path) -> Result<()> {
    let (libraries, loader) = loader(&dir.join("tree"))?;
    let bin = dir.join("bin");
    fs::create_dir_all(&bin)?;
    for program in PROGRAMS.into_iter().chain(CHECKERS) {
        ensure!(
            dir.join("tree/usr/bin").join(program).exists(),
            "the packages hold no `{program}`"
        );
        // argv[0] stays the plain name: the servers look at it to find out which program they are.
        let script = format!(
            "#!/bin/sh\n\
             # Written by `cargo xtask peers`.\n\
             here=$(dirname \"$(readlink -f \"$0\")\")\n\
             tree=$here/../tree\n\
             exec \"$tree/usr/lib/{libraries}/{loader}\" --argv0 {program} \\\n    \
             --library-path \"$tree/usr/lib/{libraries}\" \"$tree/usr/bin/{program}\" \"$@\"\n"
        );
        let path = bin.join(program);
        fs::write(&path, script)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// What a launcher becomes, without the shell that it takes: for measuring how long a program takes to start.
pub(crate) fn without_launcher(dir: &Path, program: &str) -> Result<Vec<PathBuf>> {
    let tree = std::path::absolute(dir.join("tree"))?;
    let (libraries, loader) = loader(&tree)?;
    let libraries = tree.join("usr/lib").join(libraries);
    let file = tree.join("usr/bin").join(program);
    ensure!(file.is_file(), "there is no {}", file.display());
    Ok(vec![
        libraries.join(loader),
        "--argv0".into(),
        program.into(),
        "--library-path".into(),
        libraries,
        file,
    ])
}

/// Finds `usr/lib/<architecture>/ld-linux*.so.N`: the architecture's folder and the loader's name.
fn loader(tree: &Path) -> Result<(String, String)> {
    for architecture in fs::read_dir(tree.join("usr/lib"))?.flatten() {
        let Ok(files) = fs::read_dir(architecture.path()) else {
            continue;
        };
        for file in files.flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            if name.starts_with("ld-linux") && name.contains(".so.") {
                return Ok((
                    architecture.file_name().to_string_lossy().into_owned(),
                    name,
                ));
            }
        }
    }
    bail!("no dynamic loader among the unpacked packages")
}

/// Asks every launcher for its version; an error if one is missing or does not start.
fn versions(dir: &Path) -> Result<Vec<(&'static str, String)>> {
    PROGRAMS
        .iter()
        .map(|&program| {
            let path = dir.join("bin").join(program);
            let output = Command::new(&path)
                .arg("--version")
                .output()
                .with_context(|| format!("cannot run {}", path.display()))?;
            ensure!(
                output.status.success(),
                "{} --version: {}",
                path.display(),
                String::from_utf8_lossy(&output.stderr).trim_end()
            );
            Ok((
                program,
                String::from_utf8_lossy(&output.stdout)
                    .trim_end()
                    .to_owned(),
            ))
        })
        .collect()
}

/// `9.1.2` from `Valkey server v=9.1.2 sha=…` or `valkey-cli 9.1.2`.
fn version_number(text: &str) -> Option<&str> {
    text.split([' ', '='])
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'))
}

fn print_versions(dir: &Path, versions: &[(&str, String)]) {
    for (program, text) in versions {
        println!("  {:<18} {}", program, version_number(text).unwrap_or(text));
    }
    println!("in {}", dir.join("bin").display());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirror_is_the_main_archive() {
        let known = "http://m/security Debian Debian-Security\nhttp://other/ Node Node\nhttp://m/debian/ Debian Debian\n";
        assert_eq!(choose_mirror(known), Some("http://m/debian/"));
        let before_update =
            "http://m/debian-security/ $(ORIGIN) $(LABEL)\nhttp://m/debian/ $(ORIGIN) $(LABEL)\n";
        assert_eq!(choose_mirror(before_update), Some("http://m/debian/"));
        assert_eq!(choose_mirror("http://other/ Node Node\n"), None);
    }

    #[test]
    fn version_is_found_in_each_program_s_words() {
        assert_eq!(
            version_number("Valkey server v=9.1.2 sha=00000000:0 malloc=jemalloc-5.3.1 bits=64"),
            Some("9.1.2")
        );
        assert_eq!(version_number("redis-cli 8.0.6"), Some("8.0.6"));
        assert_eq!(version_number("nothing here"), None);
    }
}
