//! Prints `docs/commands.md`; `cargo xtask commands` puts it there.

#![forbid(unsafe_code)]

fn main() {
    print!(
        "{}",
        djr_tests::commands_doc::markdown(djr_server::registry())
    );
}
