//! What XREAD and XREADGROUP are asked for.

use std::time::Duration;

use crate::{Args, CommandError, WriteContext};

/// The options of a request, and where its keys and ids are.
#[derive(Debug)]
pub(super) struct ReadOptions<'a> {
    pub(super) args: Args<'a>,
    /// The most entries of a stream.
    pub(super) count: usize,
    /// How long to wait (`None` inside: for ever), if at all.
    pub(super) block: Option<Option<Duration>>,
    /// The group and the consumer.
    pub(super) group: Option<(&'a [u8], &'a [u8])>,
    pub(super) no_ack: bool,
    /// Milliseconds after which what is pending is delivered again, to this consumer.
    pub(super) claim: Option<i64>,
    /// Where the keys begin; as many ids follow them.
    first_key: usize,
    pub(super) keys: usize,
}

impl<'a> ReadOptions<'a> {
    pub(super) fn parse(
        context: &WriteContext<'_, '_>,
        args: &Args<'a>,
        of_group: bool,
    ) -> Result<Self, CommandError> {
        let mut options = Self {
            args: *args,
            count: usize::MAX,
            block: None,
            group: None,
            no_ack: false,
            claim: None,
            first_key: 0,
            keys: 0,
        };
        let mut index = 1;
        while index < args.len() && options.first_key == 0 {
            index += options.take(context, index, of_group)?;
        }
        if options.first_key == 0 {
            return Err(CommandError::Syntax);
        }
        if of_group && options.group.is_none() {
            return Err(CommandError::text(
                "ERR Missing GROUP option for XREADGROUP",
            ));
        }
        Ok(options)
    }

    /// Takes the option at `index` and returns how many arguments it is long.
    fn take(
        &mut self,
        context: &WriteContext<'_, '_>,
        index: usize,
        of_group: bool,
    ) -> Result<usize, CommandError> {
        let args = self.args;
        let more = args.len() - index - 1;
        let only_group = |option: &str| {
            CommandError::format(format!(
                "ERR The {option} option is only supported by XREADGROUP. You called XREAD instead."
            ))
        };
        if args.is(index, "BLOCK") && more > 0 {
            self.block = Some(context.parse_timeout_ms(&args, index + 1)?);
        } else if args.is(index, "COUNT") && more > 0 {
            self.count = match args.integer(index + 1)? {
                ..=0 => usize::MAX,
                count => count as usize,
            };
        } else if args.is(index, "STREAMS") && more > 0 {
            if more % 2 == 1 {
                let (name, special) = match of_group {
                    true => ("xreadgroup", "ID or '>'"),
                    false => ("xread", "ID, '+', or '$'"),
                };
                return Err(CommandError::format(format!(
                    "ERR Unbalanced '{name}' list of streams: for each stream key an {special} must be specified."
                )));
            }
            self.first_key = index + 1;
            self.keys = more / 2;
        } else if args.is(index, "GROUP") && more > 1 {
            if !of_group {
                return Err(only_group("GROUP"));
            }
            self.group = Some((args.get(index + 1), args.get(index + 2)));
            return Ok(3);
        } else if args.is(index, "NOACK") {
            if !of_group {
                return Err(only_group("NOACK"));
            }
            self.no_ack = true;
            return Ok(1);
        } else if args.is(index, "CLAIM") && more > 0 {
            if !of_group {
                return Err(only_group("CLAIM"));
            }
            self.claim = Some(args.integer(index + 1)?);
            if self.claim < Some(0) {
                return Err(CommandError::text(
                    "ERR min-idle-time must be a positive integer",
                ));
            }
        } else {
            return Err(CommandError::Syntax);
        }
        Ok(2)
    }

    /// Where key number `index` is.
    pub(super) fn key(&self, index: usize) -> usize {
        self.first_key + index
    }

    /// Where the id for key number `index` is.
    pub(super) fn id(&self, index: usize) -> usize {
        self.first_key + self.keys + index
    }

    /// All keys.
    pub(super) fn all_keys(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.args.from(self.first_key).take(self.keys)
    }
}
