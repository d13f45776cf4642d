//! Room for a command: evicts keys before it runs, or refuses it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use djr_engine::command::Command;
use djr_engine::keys::each_key;
use djr_engine::spec::{Flags, Run};
use djr_engine::{Args, CommandError, Executor};
use djr_storage::keyspace::{ClassId, Classes, Eviction, Invalidation};

use crate::clock;
use crate::session::Session;
use crate::shared::Gate;
use crate::worker::Core;

/// A limit is far away if so many bytes are left: then a worker does not look at each command.
const FAR: usize = 32 << 20;
/// What a request may grow to, in bytes of memory for each of its own; commands that are worse are looked at one by one.
const GROWTH_MAX: usize = 16;
/// So much more than necessary is evicted, so that the next commands need not look: at most so many bytes, and such a part of the limit.
const SLACK_MAX: usize = 16 << 10;
const SLACK_PART: usize = 1024;
/// Evictions between two looks at the clock.
const EVICTIONS_PER_LOOK: u32 = 16;
/// The bit for `maxmemory` in a set of classes; the default class has no limit of its own.
const EVERYTHING: u32 = 1;

/// What a worker knows of the limits.
#[derive(Default)]
pub(crate) struct Room {
    classes: Arc<Classes>,
    generation: u32,
    /// Bytes that may be added before the limits are looked at again.
    credit: isize,
    /// The limits are far away until so many bytes have been read from clients.
    far_until: u64,
    /// The limits that were exceeded when the script or transaction that runs now began: bits of classes.
    exceeded: u32,
    /// The script that runs now has been let write: it is not stopped half way.
    has_written: bool,
    /// Eviction goes on at the end of the turn.
    pub(crate) is_evicting: bool,
}

/// What has a limit.
#[derive(Clone, Copy)]
enum Limited {
    Class(ClassId),
    Everything,
}

impl Limited {
    fn bit(self) -> u32 {
        match self {
            Self::Class(id) => 1 << id,
            Self::Everything => EVERYTHING,
        }
    }
}

impl Core {
    /// At the beginning of a turn: takes no notice of the limits in it, if they are far away.
    pub(crate) fn look_at_limits(&mut self) {
        if self.gate & Gate::MEMORY == 0 {
            return;
        }
        if self.stats.bytes_in.get() < self.room.far_until {
            self.gate &= !Gate::MEMORY;
            return;
        }
        self.refresh_classes();
        let left = self.headroom();
        if left > FAR as isize {
            let share = left as u64 / (GROWTH_MAX * self.shared.workers.len()) as u64;
            self.room.far_until = self.stats.bytes_in.get() + share;
            self.gate &= !Gate::MEMORY;
        }
    }

    /// Whether a command of a plain session may run as far as memory is concerned. Counts what it takes, given by `run`.
    #[inline]
    pub(crate) fn has_room(
        &mut self,
        executor: &mut Executor,
        session: &Session,
        command: &Command,
        args: &Args<'_>,
    ) -> bool {
        !command.flags.has(Flags::DENY_OOM) || self.room.credit > 0 || {
            let wanted = self.limits_of(session.db, command, args);
            self.make_room(executor, wanted) == 0
        }
    }

    /// After a command of a plain session that needed room: it took so many bytes more; `None`: nobody knows.
    #[inline]
    pub(crate) fn charge(&mut self, bytes: Option<isize>) {
        match bytes {
            Some(bytes) => self.room.credit -= bytes,
            None => self.forget_room(),
        }
    }

    /// After a command that may have made much: the limits are looked at before the next one.
    pub(crate) fn forget_room(&mut self) {
        self.room.credit = 0;
        self.room.far_until = 0;
    }

    /// Whether a command may run, as far as memory is concerned: makes room for it if it needs some.
    pub(crate) fn check_room(
        &mut self,
        executor: &mut Executor,
        session: &Session,
        command: &'static Command,
        args: &Args<'_>,
    ) -> Result<(), CommandError> {
        self.room.exceeded = 0;
        self.room.has_written = false;
        if self.shared.gate.bits() & Gate::MEMORY == 0 {
            return Ok(());
        }
        let queue = match (&session.multi, command.spec.name) {
            (Some(multi), "exec") => Some(&multi.queue),
            _ => None,
        };
        let is_script = |command: &Command| matches!(command.run, Run::Script(_));
        let (mut wanted, mut has_scripts) = (0, false);
        match queue {
            Some(queue) => {
                for (command, args) in queue.commands() {
                    has_scripts |= is_script(command);
                    if command.flags.has(Flags::DENY_OOM) {
                        wanted |= self.limits_of(session.db, command, &args);
                    }
                }
            }
            None => {
                has_scripts = is_script(command) && session.multi.is_none();
                if command.flags.has(Flags::DENY_OOM) {
                    wanted = self.limits_of(session.db, command, args);
                }
            }
        }
        if wanted == 0 && !has_scripts {
            return Ok(());
        }
        let exceeded = self.make_room(executor, if has_scripts { u32::MAX } else { wanted });
        if exceeded & wanted == 0 {
            // What a script may not write is known when it does.
            self.room.exceeded = exceeded;
            return Ok(());
        }
        let config = &self.shared.config;
        let is_reserved = |command: &Command, args: &Args<'_>| {
            let mut found = false;
            each_key(command, args, |index, _| {
                found |= config.is_reserve_key(args.get(index));
            });
            found
        };
        let has_reserve = match queue {
            Some(queue) => queue
                .commands()
                .any(|(command, args)| is_reserved(command, &args)),
            None => is_reserved(command, args),
        };
        if has_reserve && self.is_in_reserve(exceeded & wanted) {
            return Ok(());
        }
        Err(self.out_of_memory(exceeded & wanted))
    }

    /// Whether a command of a script may run: as it was when the script began, unless it has written already.
    pub(crate) fn permit_room(
        &mut self,
        db: u32,
        command: &Command,
        args: &Args<'_>,
    ) -> Result<(), CommandError> {
        if self.room.exceeded == 0 || self.room.has_written {
            return Ok(());
        }
        let refused = match command.flags.has(Flags::DENY_OOM) {
            true => self.room.exceeded & self.limits_of(db, command, args),
            false => 0,
        };
        if refused != 0 {
            return Err(self.out_of_memory(refused));
        }
        self.room.has_written |= command.flags.has(Flags::WRITE);
        Ok(())
    }

    /// Whether a script that says what it does may begin. One that may run above the limit is not asked again.
    pub(crate) fn permit_script_room(&mut self, is_allowed: bool) -> Result<(), CommandError> {
        if self.room.exceeded == 0 {
            return Ok(());
        }
        if is_allowed {
            self.room.exceeded = 0;
            return Ok(());
        }
        if self.room.exceeded & EVERYTHING == 0 {
            // It may have to do with other classes: what it writes is looked at.
            return Ok(());
        }
        Err(CommandError::text(
            "OOM command not allowed when used memory > 'maxmemory'.",
        ))
    }

    /// What is to be done about exceeded limits beside the commands: at the end of a tick.
    pub(crate) fn evict_in_tick(&mut self, executor: &mut Executor) {
        if self.shared.gate.bits() & (Gate::MEMORY | Gate::LOADING) != Gate::MEMORY {
            return;
        }
        self.room.credit = 0;
        self.room.is_evicting = false;
        self.make_room(executor, u32::MAX);
        if self.room.is_evicting {
            // The next tick comes at once: others are served in between.
            self.hurry_tick();
        }
    }

    /// The limits that a command of a session in `db` adds to: bits of classes, and that of everything.
    fn limits_of(&mut self, db: u32, command: &Command, args: &Args<'_>) -> u32 {
        self.refresh_classes();
        let (mut limits, classes) = (EVERYTHING, &self.room.classes);
        if classes.count() == 1 {
            return limits;
        }
        // COPY names another db.
        if command.spec.name == "copy" {
            return u32::MAX;
        }
        each_key(command, args, |index, _| {
            limits |= 1 << classes.class_of(db, args.get(index));
        });
        limits
    }

    fn refresh_classes(&mut self) {
        let generation = self.shared.memory.generation.load(Relaxed);
        if self.room.generation != generation {
            self.room.classes = self.shared.engine.keyspace.classes();
            self.room.generation = generation;
            self.room.credit = 0;
            self.room.far_until = 0;
        }
    }

    /// The bytes that are left up to the nearest limit; negative if one is exceeded.
    fn headroom(&self) -> isize {
        let limits = self.limits().into_iter();
        let left = limits.map(|(of, limit)| limit as isize - self.used_of(of) as isize);
        left.min().unwrap_or(isize::MAX)
    }

    /// What has a limit, and which.
    fn limits(&self) -> smallvec::SmallVec<[(Limited, usize); 2]> {
        let classes = self.room.classes.iter();
        let limited = classes.filter(|(_, class)| class.limit > 0);
        let limited = limited.map(|(id, class)| (Limited::Class(id), size(class.limit)));
        let maxmemory = self.shared.config.maxmemory();
        let everything = (maxmemory > 0).then_some((Limited::Everything, size(maxmemory)));
        limited.chain(everything).collect()
    }

    fn used_of(&self, limited: Limited) -> usize {
        match limited {
            Limited::Class(id) => self.shared.engine.keyspace.class_bytes(id),
            Limited::Everything => self.shared.used_memory(),
        }
    }

    /// Evicts what is too much for these limits. Returns those that are still exceeded though there is nothing left to evict.
    fn make_room(&mut self, executor: &mut Executor, wanted: u32) -> u32 {
        if self.room.credit > 0 {
            return 0;
        }
        self.refresh_classes();
        let (mut exceeded, mut began) = (0, None);
        for (limited, limit) in self.limits() {
            if wanted & limited.bit() != 0 && self.evict_to(executor, limited, limit, &mut began) {
                exceeded |= limited.bit();
            }
        }
        if began.is_some() {
            executor.events.deliver(|event| self.notify(event));
        }
        let share = self.headroom() / (2 * self.shared.workers.len() as isize);
        self.room.credit = share.clamp(0, 1 << 20);
        exceeded
    }

    /// Evicts until so much is used at most, or the time is up. Whether more is used, and nothing can be done about it.
    fn evict_to(
        &mut self,
        executor: &mut Executor,
        limited: Limited,
        limit: usize,
        began: &mut Option<Instant>,
    ) -> bool {
        let mut used = self.used_of(limited);
        let is_everything = matches!(limited, Limited::Everything);
        let mut from = self.classes_to_evict(limited);
        let slack = match from.is_empty() {
            true => 0,
            false => (limit / SLACK_PART).min(SLACK_MAX),
        };
        if used <= limit.saturating_sub(slack) {
            if is_everything {
                self.shared.note_over(false, self.now);
            }
            return false;
        }
        let began = *began.get_or_insert_with(clock::monotonic);
        let (time, mut count) = (self.eviction_time(), 0);
        let (classes, shared) = (self.room.classes.clone(), self.shared.clone());
        let mut invalidations: Vec<Invalidation> = Vec::new();
        while used > limit.saturating_sub(slack)
            && let Some(place) = draw(executor, &from)
        {
            let (engine, class) = (&shared.engine, from[place].0);
            let eviction = engine.evict(
                executor,
                &classes,
                class,
                self.now,
                &mut self.log,
                &mut invalidations,
            );
            match eviction {
                Eviction::Done(bytes) => {
                    used = used.saturating_sub(bytes);
                    if let Some(counter) = self.stats.class_evicted.get(class) {
                        counter.add(1);
                    }
                }
                Eviction::Searching => {}
                Eviction::Nothing => {
                    from.swap_remove(place);
                }
            }
            for invalidation in invalidations.drain(..) {
                self.invalidate(invalidation, None);
            }
            count += 1;
            if count % EVICTIONS_PER_LOOK == 0 {
                used = self.used_of(limited);
                if clock::monotonic() - began > time {
                    self.room.is_evicting = true;
                    break;
                }
            }
        }
        used = self.used_of(limited);
        if is_everything {
            self.shared.note_over(used > limit, self.now);
        }
        used > limit && from.is_empty()
    }

    /// The classes that may have keys to evict for a limit, with the bytes that each takes.
    fn classes_to_evict(&self, limited: Limited) -> Vec<(ClassId, u64)> {
        let (classes, keyspace) = (&self.room.classes, &self.shared.engine.keyspace);
        let evicts = |id: &ClassId| classes.policy(*id).order.is_some();
        match limited {
            Limited::Class(id) => [(id, 1)].into_iter().filter(|(id, _)| evicts(id)).collect(),
            Limited::Everything if classes.count() == 1 => {
                [(0, 1)].into_iter().filter(|(id, _)| evicts(id)).collect()
            }
            Limited::Everything => (0..classes.count())
                .filter(evicts)
                .map(|id| (id, keyspace.class_bytes(id) as u64))
                .filter(|(_, bytes)| *bytes > 0)
                .collect(),
        }
    }

    /// `maxmemory-eviction-tenacity`: how long a command may wait for evictions. Linear up to half a millisecond at 10, then by 15 % each.
    fn eviction_time(&self) -> Duration {
        match self.shared.config.eviction_tenacity() {
            tenacity @ ..=10 => Duration::from_micros(50 * tenacity.max(0) as u64),
            tenacity @ ..100 => {
                Duration::from_micros((500.0 * 1.15_f64.powi(tenacity as i32 - 10)) as u64)
            }
            _ => Duration::MAX,
        }
    }

    /// Whether what exceeds these limits is within the reserve.
    fn is_in_reserve(&self, exceeded: u32) -> bool {
        let percent = self.shared.config.reserve_percent();
        self.limits()
            .into_iter()
            .filter(|(limited, _)| limited.bit() & exceeded != 0)
            .all(|(limited, limit)| {
                let reserve = (limit as u128 * u128::from(percent) / 100) as usize;
                self.used_of(limited) <= limit.saturating_add(reserve)
            })
    }

    fn out_of_memory(&self, exceeded: u32) -> CommandError {
        let class = (1..u32::BITS)
            .filter(|id| exceeded & 1 << id != 0)
            .find_map(|id| self.room.classes.get(id as ClassId));
        match class {
            Some(class) if exceeded & EVERYTHING == 0 => CommandError::format(format!(
                "OOM command not allowed when used memory > 'maxmemory' of memory class '{}'.",
                class.name
            )),
            _ => CommandError::text("OOM command not allowed when used memory > 'maxmemory'."),
        }
    }
}

/// One of these classes, as likely as it has bytes.
fn draw(executor: &mut Executor, from: &[(ClassId, u64)]) -> Option<usize> {
    if from.len() <= 1 {
        return from.len().checked_sub(1);
    }
    let total: u64 = from.iter().map(|(_, bytes)| bytes).sum();
    let mut nth = ((u128::from(executor.rng.next()) * u128::from(total)) >> 64) as u64;
    let found = from.iter().position(|(_, bytes)| {
        let found = nth < *bytes;
        nth = nth.saturating_sub(*bytes);
        found
    });
    found.or(Some(0))
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX / 2)
}
