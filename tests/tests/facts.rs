//! What we say of our commands is what real servers say of theirs.

#[test]
fn declarations_equal_the_facts_read_from_real_servers() {
    let registry = djr_server::registry();
    let differences = djr_tests::facts::differences(registry);
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

#[test]
fn every_command_of_the_real_servers_is_here_or_has_a_reason_not_to_be() {
    let gaps = djr_tests::facts::gaps(djr_server::registry());
    assert!(gaps.is_empty(), "{}", gaps.join("\n"));
}
