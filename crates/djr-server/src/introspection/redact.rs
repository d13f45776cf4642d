//! A request as it is shown to people: without secrets, and not without end.

use djr_engine::Args;
use djr_engine::command::Command;

use crate::config::Id;

/// So many arguments are shown, and so many bytes of each.
const ARGS_MAX: usize = 32;
const ARG_LEN_MAX: usize = 128;

/// What stands for a secret.
pub(crate) const REDACTED: &[u8] = b"(redacted)";

/// Whether an argument is, or may be, a secret.
pub(crate) fn is_secret(command: &Command, args: &Args<'_>, index: usize) -> bool {
    let behind = |word: &str, count: usize| {
        (index.saturating_sub(count)..index).any(|at| at > 0 && args.is(at, word))
    };
    match command.full_name.as_str() {
        "auth" => index >= 1,
        "hello" => index > 1 && behind("auth", 2),
        "acl|setuser" | "acl|deluser" | "acl|getuser" => index >= 2,
        "config|set" => {
            index >= 3
                && index % 2 == 1
                && Id::find(args.get(index - 1)).is_some_and(|id| id.parameter().secret)
        }
        "migrate" => index > 5 && (behind("auth", 1) || behind("auth2", 2)),
        _ => false,
    }
}

/// The arguments of a command as SLOWLOG keeps them. `others`: how many more requests are meant by this one.
pub(crate) fn shown_args(command: &Command, args: &Args<'_>, others: u64) -> Vec<Box<[u8]>> {
    let shown = match args.len() {
        all if all <= ARGS_MAX => all,
        _ => ARGS_MAX - 1,
    };
    let mut list: Vec<Box<[u8]>> = (0..shown)
        .map(|index| {
            let arg = args.get(index);
            if is_secret(command, args, index) {
                REDACTED.into()
            } else if arg.len() > ARG_LEN_MAX {
                let more = format!("... ({} more bytes)", arg.len() - ARG_LEN_MAX);
                [&arg[..ARG_LEN_MAX], more.as_bytes()].concat().into()
            } else {
                arg.into()
            }
        })
        .collect();
    if shown < args.len() {
        let more = format!("... ({} more arguments)", args.len() - shown);
        list.push(more.into_bytes().into());
    }
    if others > 0 {
        let more = format!("... ({others} more requests of this kind)");
        list.push(more.into_bytes().into());
    }
    list
}
