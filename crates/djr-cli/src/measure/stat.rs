//! `--stat`: a line per interval with what `INFO` says.

use std::io::{self, Write};
use std::time::Duration;

use djr_client::{Client, Value};

use crate::bulk::BulkError;
use crate::format::human_bytes;

/// After so many lines the headings come again.
const LINES_PER_HEADING: u64 = 20;

pub(crate) async fn run(
    mut client: Client,
    interval: Duration,
    repeat: i64,
) -> Result<(), BulkError> {
    let interval = if interval.is_zero() {
        Duration::from_secs(1)
    } else {
        interval
    };
    let mut requests = None;
    let mut lines = 0;
    loop {
        let reply = client.command(&["INFO"]).await?;
        let text = text(&reply);
        let mut stdout = io::stdout().lock();
        if lines % LINES_PER_HEADING == 0 {
            stdout.write_all(
                b"------- data ------ --------------------- load -------------------- - child -\n\
                  keys       mem      clients blocked requests            connections          \n",
            )?;
        }
        let now = field(&text, "total_commands_processed");
        let line = line(&text, requests.map_or(0, |before| now - before));
        requests = Some(now);
        writeln!(stdout, "{line}")?;
        stdout.flush()?;
        drop(stdout);
        lines += 1;
        if repeat > 1 && lines >= repeat.unsigned_abs() {
            return Ok(());
        }
        tokio::time::sleep(interval).await;
    }
}

fn text(reply: &Value) -> String {
    String::from_utf8_lossy(reply.as_bytes().unwrap_or_default()).into_owned()
}

/// The number after `name:`, 0 if there is none.
pub(crate) fn field(info: &str, name: &str) -> i64 {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .and_then(|value| value.trim().parse().ok())
        .unwrap_or(0)
}

fn line(info: &str, more_requests: i64) -> String {
    let keys: i64 = info
        .lines()
        .filter(|line| {
            line.strip_prefix("db")
                .is_some_and(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit()))
        })
        .filter_map(|line| {
            line.split_once(":keys=")?
                .1
                .split(',')
                .next()?
                .parse::<i64>()
                .ok()
        })
        .sum();
    let number = |name| field(info, name);
    let memory = human_bytes(number("used_memory").try_into().unwrap_or(0));
    let requests = format!("{} (+{more_requests})", number("total_commands_processed"));
    let is_saving = number("rdb_bgsave_in_progress") != 0;
    let is_rewriting = number("aof_rewrite_in_progress") != 0;
    let child = match (is_saving, is_rewriting, number("loading") != 0) {
        (_, _, true) => "LOAD",
        (true, true, _) => "SAVE+AOF",
        (true, ..) => "SAVE",
        (_, true, _) => "AOF",
        _ => "",
    };
    format!(
        "{keys:<11}{memory:<9}{:<8}{:<8}{requests:<20}{:<12}{child}",
        number("connected_clients"),
        number("blocked_clients"),
        number("total_connections_received")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_info() {
        let info = "used_memory:2768240\r\nconnected_clients:1\r\nblocked_clients:0\r\ntotal_commands_processed:3125728\r\n\
                    total_connections_received:101\r\ndb0:keys=800,expires=0\r\ndb3:keys=10,expires=1\r\ndbg:keys=7\r\n";
        assert_eq!(
            line(info, 1),
            "810        2.64M    1       0       3125728 (+1)        101         "
        );
        let busy = format!("{info}rdb_bgsave_in_progress:1\r\n");
        assert!(line(&busy, 0).ends_with("101         SAVE"));
    }
}
