//! Scenarios: what is not a rate of requests, but a course of events, run on each server in turn.

mod acl;
mod client;
mod defrag;
mod hits;
mod idle;
mod neighbours;
mod rates;
mod tls;

use super::interrupt::Interrupt;
use super::server::{Contender, Durability, Running};
use anyhow::Result;
use client::Client;
use std::path::Path;

/// What is played through.
#[derive(clap::Subcommand)]
pub(super) enum Scenario {
    /// Hit rate of a cache that is smaller than what is asked of it: LRU and LFU under a Zipf load
    Hits(hits::Args),
    /// What becomes of the memory of keys that are deleted at random: active defragmentation
    Defrag(defrag::Args),
    /// What connections take that nobody uses at the moment
    Idle(idle::Args),
    /// How long a calm client waits while another one behaves badly: slow readers, huge headers, floods, endless scripts
    Neighbours(neighbours::Args),
    /// What it costs that a client may not do everything: a user with rules about keys beside the default user
    Acl(acl::Args),
    /// What requests over TLS cost
    Tls(tls::Args),
}

/// A server of a scenario, and a connection to it.
struct Stage {
    server: Running,
    client: Client,
}

/// What all scenarios need.
pub(super) struct Theatre<'a> {
    pub(super) contenders: &'a [Contender],
    pub(super) cores: &'a [usize],
    pub(super) scratch: &'a Path,
    pub(super) interrupt: &'a Interrupt,
}

impl Theatre<'_> {
    /// Starts a server that keeps nothing on the disk.
    fn open(&self, contender: &Contender) -> Result<Stage> {
        self.open_with(contender, &[])
    }

    /// The same with these options on its command line.
    fn open_with(&self, contender: &Contender, options: &[&str]) -> Result<Stage> {
        let server = contender.start_with(
            Durability::None,
            b"",
            options,
            self.cores,
            self.scratch,
            self.interrupt,
        )?;
        let client = Client::connect(server.address)?;
        Ok(Stage { server, client })
    }
}

pub(super) fn play(scenario: &Scenario, theatre: &Theatre<'_>) -> Result<()> {
    match scenario {
        Scenario::Hits(args) => hits::run(args, theatre),
        Scenario::Defrag(args) => defrag::run(args, theatre),
        Scenario::Idle(args) => idle::run(args, theatre),
        Scenario::Neighbours(args) => neighbours::run(args, theatre),
        Scenario::Acl(args) => acl::run(args, theatre),
        Scenario::Tls(args) => tls::run(args, theatre),
    }
}

/// The same random numbers on every server (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to 1, which is left out.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From 0 up to `end`, which is left out.
    fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }
}
