//! `cargo xtask new-command NAME`: writes the skeleton of a command's file, its declaration complete.
//!
//! The declaration comes from `tests/fixtures/commands.json`, which was read from real servers; a command that they do not have is
//! declared by hand.

mod skeleton;

use crate::{paths, run};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use skeleton::{Facts, Home, identifier};
use std::path::{Path, PathBuf};

/// Write the skeleton of a command's file, and its line in the family's table.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The command, as in `lpos`; a container such as `xgroup` comes with its subcommands
    name: String,
}

const FACTS: &str = "tests/fixtures/commands.json";

pub(crate) fn run(args: &Args) -> Result<()> {
    let root = paths::workspace();
    let name = args.name.to_lowercase();
    let facts: Value = serde_json::from_str(&std::fs::read_to_string(root.join(FACTS))?)?;
    let value = facts.get(&name).with_context(|| {
        format!("{FACTS} knows no `{name}`: no server that it was read from had it")
    })?;
    let facts = Facts { name: &name, value };
    let dir = folder(facts);
    let module = identifier(&name);
    let file = dir.join(format!("{}.rs", module.trim_start_matches("r#")));
    let path = root.join(&file);
    ensure!(!path.exists(), "{} exists already", file.display());
    std::fs::create_dir_all(root.join(&dir))?;
    std::fs::write(&path, skeleton::file(facts))?;
    run::checked(
        run::program("rustfmt")
            .args(["--edition", "2024"])
            .arg(&path),
    )?;
    println!("wrote  {}", file.display());
    match facts.home() {
        Home::Engine => register(&root, &dir, &module)?,
        Home::Server => println!(
            "now    add it to COMMANDS and RUNS in {}, with what runs it",
            dir.join("mod.rs").display()
        ),
    }
    println!(
        "then   write what it does and its tests; `cargo xtask commands` brings docs/commands.md up to date"
    );
    Ok(())
}

fn folder(facts: Facts<'_>) -> PathBuf {
    let (home, group) = match (facts.home(), facts.group()) {
        (Home::Engine, group) => ("crates/djr-engine/src/commands", group),
        (Home::Server, group) => ("crates/djr-server/src/commands", group),
    };
    Path::new(home).join(group.replace('-', "_"))
}

/// Adds the command to its family's table; the family too, if it is new.
fn register(root: &Path, dir: &Path, module: &str) -> Result<()> {
    let table = dir.join("mod.rs");
    let path = root.join(&table);
    if !path.exists() {
        let family = dir.file_name().unwrap_or_default().to_string_lossy();
        let text = format!(
            "//! {}.\n\nuse crate::spec::CommandSpec;\n\n/// The commands of this family.\npub static COMMANDS: &[&CommandSpec] = &[];\n",
            family.replace('_', " ")
        );
        std::fs::write(&path, text)?;
        println!(
            "now    add `pub mod {family};` and `{family}::COMMANDS` to {}",
            dir.with_file_name("mod.rs").display()
        );
    }
    let text = std::fs::read_to_string(&path)?;
    let text = with_entry(&text, module)
        .with_context(|| format!("{}: no table of commands in it", table.display()))?;
    std::fs::write(&path, text)?;
    run::checked(
        run::program("rustfmt")
            .args(["--edition", "2024"])
            .arg(&path),
    )?;
    println!(
        "added  `mod {module};` and `&{module}::SPEC` to {}",
        table.display()
    );
    Ok(())
}

/// The family's `mod.rs` with one more command, both lists still sorted. `None` if it has no table.
fn with_entry(text: &str, module: &str) -> Option<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let table = lines
        .iter()
        .position(|line| line.contains("COMMANDS: &["))?;
    // A short table stands in one line.
    if let Some((head, entries)) = lines[table].clone().split_once("= &[")
        && let Some(entries) = entries.strip_suffix("];")
    {
        let entries = entries.split(", ").filter(|entry| !entry.is_empty());
        let mut spread = vec![format!("{head}= &[")];
        spread.extend(entries.map(|entry| format!("    {entry},")));
        spread.push("];".to_owned());
        lines.splice(table..=table, spread);
    }
    let entry = format!("    &{module}::SPEC,");
    let plain = |line: &str| line.replace("r#", "");
    let at = (table + 1..lines.len())
        .find(|at| !lines[*at].starts_with("    &") || plain(&lines[*at]) > plain(&entry))?;
    lines.insert(at, entry);
    let declaration = format!("mod {module};");
    let is_module = |line: &String| line.starts_with("mod ");
    let at = match lines.iter().position(is_module) {
        Some(first) => (first..lines.len())
            .find(|at| !is_module(&lines[*at]) || plain(&lines[*at]) > plain(&declaration))?,
        None => {
            let first = lines.iter().position(|line| line.starts_with("use "))?;
            lines.insert(first, String::new());
            first
        }
    };
    lines.insert(at, declaration);
    Some(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lists_stay_sorted() {
        let text = "//! X.\n\nmod a;\nmod c;\n\nuse y;\n\npub static COMMANDS: &[&S] = &[\n    &a::SPEC,\n    &c::SPEC,\n];\n";
        let wanted = "//! X.\n\nmod a;\nmod b;\nmod c;\n\nuse y;\n\npub static COMMANDS: &[&S] = &[\n    &a::SPEC,\n    &b::SPEC,\n    &c::SPEC,\n];\n";
        assert_eq!(with_entry(text, "b").unwrap(), wanted);
    }

    #[test]
    fn a_new_family_begins_with_one() {
        let text = "//! X.\n\nuse y;\n\npub static COMMANDS: &[&S] = &[];\n";
        let wanted =
            "//! X.\n\nmod b;\n\nuse y;\n\npub static COMMANDS: &[&S] = &[\n    &b::SPEC,\n];\n";
        assert_eq!(with_entry(text, "b").unwrap(), wanted);
        let text = "mod b;\n\npub static COMMANDS: &[&S] = &[&b::SPEC];\n";
        let wanted =
            "mod a;\nmod b;\n\npub static COMMANDS: &[&S] = &[\n    &a::SPEC,\n    &b::SPEC,\n];\n";
        assert_eq!(with_entry(text, "a").unwrap(), wanted);
    }
}
