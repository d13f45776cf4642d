//! `docs/commands.md` is what the declarations say.

use djr_tests::commands_doc::{markdown, stray_notes};

#[test]
fn the_document_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/commands.md");
    let text = std::fs::read_to_string(path).expect("docs/commands.md is there");
    // Not assert_eq: it would print both, thousands of lines.
    let is_same = text == markdown(djr_server::registry());
    assert!(
        is_same,
        "docs/commands.md is stale: run `cargo xtask commands`"
    );
}

#[test]
fn notes_are_about_commands_that_exist() {
    assert_eq!(stray_notes(djr_server::registry()), [""; 0]);
}
