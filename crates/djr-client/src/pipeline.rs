//! Many commands, one write.

use std::fmt;

use djr_protocol::CommandEncoder;

use crate::error::ClientError;
use crate::push::not_one_reply;
use crate::session::Effect;

/// Commands that are sent together, by [`Client::run`](crate::Client::run).
///
/// ```no_run
/// # async fn run(client: &mut djr_client::Client) -> Result<(), djr_client::ClientError> {
/// use djr_client::Pipeline;
///
/// let mut pipeline = Pipeline::new();
/// pipeline.add(&["SET", "a", "1"]).add(&["INCR", "a"]);
/// let replies = client.run(&pipeline).await?;
/// assert_eq!(replies[1].as_ref().ok().and_then(|value| value.as_integer()), Some(2));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Pipeline {
    bytes: Vec<u8>,
    commands: usize,
    /// What commands do to the session, and which ones.
    effects: Vec<(usize, Effect)>,
    /// The first command that can't be in a pipeline.
    refused: Option<Refused>,
}

#[derive(Clone, Copy, Debug)]
enum Refused {
    Empty,
    NotOneReply(&'static str),
}

impl Pipeline {
    /// An empty pipeline.
    #[must_use]
    pub fn new() -> Pipeline {
        Pipeline::default()
    }

    /// Adds a command. One without a name, or without exactly one reply (`SUBSCRIBE`), makes
    /// [`run`](crate::Client::run) fail before anything is sent.
    pub fn add<A: AsRef<[u8]>>(&mut self, args: &[A]) -> &mut Pipeline {
        if args.is_empty() {
            self.refused.get_or_insert(Refused::Empty);
            return self;
        }
        if let Some(name) = not_one_reply(args) {
            self.refused.get_or_insert(Refused::NotOneReply(name));
            return self;
        }
        if let Some(effect) = Effect::of(args) {
            self.effects.push((self.commands, effect));
        }
        let mut encoder = CommandEncoder::new(&mut self.bytes);
        for arg in args {
            encoder.arg(arg.as_ref());
        }
        encoder.finish();
        self.commands += 1;
        self
    }

    /// How many commands there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.commands
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.commands == 0
    }

    /// Empties the pipeline and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.commands = 0;
        self.effects.clear();
        self.refused = None;
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn effects(&self) -> &[(usize, Effect)] {
        &self.effects
    }

    /// Whether all commands can be in a pipeline.
    pub(crate) fn check(&self) -> Result<(), ClientError> {
        match self.refused {
            Some(Refused::Empty) => Err(ClientError::EmptyCommand),
            Some(Refused::NotOneReply(name)) => Err(ClientError::NotOneReply(name)),
            None => Ok(()),
        }
    }
}

/// Leaves the commands out: there may be passwords in them.
impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline")
            .field("commands", &self.commands)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}
