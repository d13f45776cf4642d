//! SORT key [BY pattern] [LIMIT offset count] [GET pattern ...] [ASC|DESC] [ALPHA] [STORE destination], SORT_RO

use std::cmp::Ordering;

use djr_storage::keyspace::{Db, Footprint, Keyspace};
use djr_storage::types::listpack::Element;
use djr_storage::types::{Hash, List, list::End};
use djr_storage::value::ValueRef;

use super::super::prelude::*;

const BY: Arg = Arg::pattern("by-pattern").after("BY").optional();
const LIMIT: Arg = Arg::block("limit", &[Arg::integer("offset"), Arg::integer("count")])
    .after("LIMIT")
    .optional();
const GET: Arg = Arg::pattern("get-pattern")
    .after("GET")
    .optional()
    .multiple_with_token();
const ORDER: Arg = Arg::one_of(
    "order",
    &[Arg::token("asc", "ASC"), Arg::token("desc", "DESC")],
)
.optional();
const ALPHA: Arg = Arg::token("sorting", "ALPHA").optional();

const KEY: KeySpec = KeySpec {
    begin: BeginSearch::Index(1),
    find: FindKeys::Range {
        last: 0,
        step: 1,
        limit: 0,
    },
    access: Access::READ,
};
/// The keys that patterns lead to.
const PATTERNS: KeySpec = KeySpec {
    begin: BeginSearch::Unknown,
    find: FindKeys::Unknown,
    access: Access::READ,
};
const DESTINATION: KeySpec = KeySpec {
    access: Access::OVERWRITE,
    ..PATTERNS
};

pub(super) static SORT: CommandSpec = CommandSpec {
    name: "sort",
    since: "1.0.0",
    group: Group::Generic,
    summary: "Sorts the elements of a list, set or sorted set, by themselves or by what is stored at keys made from them.",
    complexity: "O(n + m log m) for n elements of which m are sorted",
    syntax: &[
        Arg::key("key", Access::READ),
        BY,
        LIMIT,
        GET,
        ORDER,
        ALPHA,
        Arg::key("destination", Access::OVERWRITE)
            .after("STORE")
            .optional(),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    acl: &["set", "sortedset", "list", "dangerous"],
    keys: Keys::Explicit(&[KEY, PATTERNS, DESTINATION]),
    find_keys: Some(find_keys),
    reach: Reach::Sort,
    run: Run::Write(sort),
    ..CommandSpec::DEFAULT
};

pub(super) static SORT_RO: CommandSpec = CommandSpec {
    name: "sort_ro",
    since: "7.0.0",
    summary: "SORT without STORE.",
    syntax: &[Arg::key("key", Access::READ), BY, LIMIT, GET, ORDER, ALPHA],
    flags: Flags::READONLY,
    keys: Keys::Explicit(&[KEY, PATTERNS]),
    find_keys: None,
    run: Run::Read(sort_ro),
    ..SORT
};

/// The key, and the destination: the last one, and whatever else is wrong with the request. Patterns lead to keys that the
/// request does not name.
fn find_keys(args: &Args<'_>, found: &mut dyn FnMut(usize, Access)) {
    found(1, KEY.access);
    let mut destination = None;
    let mut index = 2;
    while index < args.len() {
        index += match () {
            () if args.is(index, "LIMIT") => 2,
            () if args.is(index, "GET") || args.is(index, "BY") => 1,
            () if args.is(index, "STORE") && index + 1 < args.len() => {
                destination = Some(index + 1);
                0
            }
            () => 0,
        };
        index += 1;
    }
    if let Some(destination) = destination {
        found(destination, DESTINATION.access);
    }
}

/// What a request asks for.
struct Options<'a> {
    by: Option<&'a [u8]>,
    get: Vec<&'a [u8]>,
    offset: i64,
    /// Negative: all.
    count: i64,
    descending: bool,
    alpha: bool,
    /// The index of the destination.
    store: Option<usize>,
}

impl<'a> Options<'a> {
    fn parse(args: &Args<'a>, may_store: bool) -> Result<Self, CommandError> {
        let mut options = Self {
            by: None,
            get: Vec::new(),
            offset: 0,
            count: -1,
            descending: false,
            alpha: false,
            store: None,
        };
        let mut index = 2;
        while index < args.len() {
            let more = args.len() - 1 - index;
            match () {
                () if args.is(index, "ASC") => options.descending = false,
                () if args.is(index, "DESC") => options.descending = true,
                () if args.is(index, "ALPHA") => options.alpha = true,
                () if args.is(index, "LIMIT") && more >= 2 => {
                    options.offset = args.integer(index + 1)?;
                    options.count = args.integer(index + 2)?;
                    index += 2;
                }
                () if args.is(index, "STORE") && more >= 1 && may_store => {
                    index += 1;
                    options.store = Some(index);
                }
                () if args.is(index, "BY") && more >= 1 => {
                    index += 1;
                    options.by = Some(args.get(index));
                }
                () if args.is(index, "GET") && more >= 1 => {
                    index += 1;
                    options.get.push(args.get(index));
                }
                () => return Err(CommandError::Syntax),
            }
            index += 1;
        }
        Ok(options)
    }

    /// The pattern of the keys that are sorted by, if any: one without a place for the element means not to sort.
    fn by_pattern(&self) -> Option<Pattern<'a>> {
        self.by.and_then(Pattern::parse)
    }

    /// Which of so many sorted elements are answered.
    fn range(&self, len: usize) -> std::ops::Range<usize> {
        let bounded = |number: i64| usize::try_from(number).unwrap_or(0).min(len);
        let start = bounded(self.offset);
        let end = match self.count {
            count if count < 0 => len,
            count => (start + bounded(count)).min(len),
        };
        start..end
    }
}

/// Where patterns lead.
#[derive(Clone, Copy)]
struct Source<'k, 'c> {
    db: Db<'k>,
    now: UnixMillis,
    /// Counts a look-up of a key as a hit or a miss.
    count: &'c dyn Fn(Key<'_>, bool),
}

/// `prefix*suffix` or `prefix*suffix->field`: a key, or a field of a hash, with an element in it.
struct Pattern<'a> {
    prefix: &'a [u8],
    suffix: &'a [u8],
    field: Option<&'a [u8]>,
}

impl<'a> Pattern<'a> {
    /// `None` if there is no place for an element.
    fn parse(text: &'a [u8]) -> Option<Self> {
        // Texts end at a zero byte where Redis looks for something in them.
        let end = text.iter().position(|byte| *byte == 0);
        let star = text[..end.unwrap_or(text.len())]
            .iter()
            .position(|byte| *byte == b'*')?;
        let (prefix, suffix) = (&text[..star], &text[star + 1..]);
        let end = suffix.iter().position(|byte| *byte == 0);
        let arrow = suffix[..end.unwrap_or(suffix.len())]
            .windows(2)
            .position(|two| two == b"->")
            .filter(|at| !matches!(suffix.get(at + 2), None | Some(0)));
        Some(match arrow {
            Some(at) => Self {
                prefix,
                suffix: &suffix[..at],
                field: Some(&suffix[at + 2..]),
            },
            None => Self {
                prefix,
                suffix,
                field: None,
            },
        })
    }

    /// What is stored where the pattern leads with this element.
    fn look_up<'k>(&self, source: Source<'k, '_>, element: Element<'_>) -> Option<Element<'k>> {
        let element = element.to_bytes(&mut [0; INTEGER_TEXT_SIZE_MAX]).to_vec();
        let key = [self.prefix, &element, self.suffix].concat();
        let key = source.db.key(&key);
        let entry = source.db.get(key);
        (source.count)(key, entry.is_some());
        let entry = entry?;
        match self.field {
            Some(field) => Some(entry.object::<Hash>()?.get(field, source.now)?.value),
            None => Some(match entry.value().as_string()? {
                StringRef::Int(integer) => Element::Int(integer),
                StringRef::Bytes(bytes) => Element::Bytes(bytes),
            }),
        }
    }
}

/// The shards that a SORT opens: all, if patterns lead to other keys.
pub(crate) fn footprint(keyspace: &Keyspace, args: &Args<'_>) -> Footprint {
    let Ok(options) = Options::parse(args, true) else {
        return keyspace.footprint(keyspace.key(args.get(1)).hash);
    };
    let mut patterns = options.by.iter().chain(&options.get);
    if patterns.any(|pattern| pattern.contains(&b'*')) {
        return Footprint::ALL;
    }
    let keys = std::iter::once(1).chain(options.store);
    keys.fold(Footprint::NONE, |footprint, index| {
        footprint.union(keyspace.footprint(keyspace.key(args.get(index)).hash))
    })
}

fn sort_ro(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let options = Options::parse(args, false)?;
    let value = context.get(context.key(args, 1)).map(|entry| entry.value());
    let source = Source {
        db: context.db,
        now: context.now,
        count: &|key, hit| context.count_lookup(key, hit),
    };
    let elements = sorted(source, value, &options)?;
    answer(source, &elements, &options, reply);
    Ok(())
}

fn sort(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let options = Options::parse(args, true)?;
    let key = context.key(args, 1);
    let source = Source {
        db: context.db_read(),
        now: context.now,
        count: &|key, hit| context.count_lookup(key, hit),
    };
    let value = source.db.get(key).map(|entry| entry.value());
    context.count_lookup(key, value.is_some());
    let elements = sorted(source, value, &options)?;
    let Some(store) = options.store else {
        answer(source, &elements, &options, reply);
        return Ok(Effect::None);
    };
    let limits = context.engine.settings.list_limits();
    let mut result = List::new();
    each_word(source, &elements, &options, |word| {
        // What is not there is stored as nothing.
        result.push_element(End::Back, word.unwrap_or(Element::Bytes(b"")), limits);
    });
    reply.integer(result.len() as i64);
    let is_empty = result.is_empty();
    let destination = context.key(args, store);
    let was_there = context.set_value(destination, result, Expire::Clear);
    if !is_empty {
        context.notify(Notify::LIST, "sortstore", destination.bytes);
    } else if was_there {
        context.notify(Notify::GENERIC, "del", destination.bytes);
    } else {
        return Ok(Effect::None);
    }
    Ok(Effect::Verbatim)
}

fn answer(
    source: Source<'_, '_>,
    elements: &[Element<'_>],
    options: &Options<'_>,
    reply: &mut Reply<'_>,
) {
    reply.array(elements.len() * options.get.len().max(1));
    each_word(source, elements, options, |word| match word {
        Some(Element::Bytes(bytes)) => reply.bulk(bytes),
        Some(Element::Int(integer)) => reply.bulk_integer(integer),
        None => reply.null(),
    });
}

/// The elements themselves, or what GET asks for with each of them.
fn each_word(
    source: Source<'_, '_>,
    elements: &[Element<'_>],
    options: &Options<'_>,
    mut found: impl FnMut(Option<Element<'_>>),
) {
    let patterns: Vec<_> = options
        .get
        .iter()
        .map(|text| (*text == b"#", Pattern::parse(text)))
        .collect();
    for element in elements {
        if patterns.is_empty() {
            found(Some(*element));
        }
        for (is_element, pattern) in &patterns {
            found(match pattern {
                _ if *is_element => Some(*element),
                Some(pattern) => pattern.look_up(source, *element),
                None => None,
            });
        }
    }
}

/// What an element is sorted by.
enum Weight<'a> {
    Number(f64),
    /// `None` comes before everything.
    Text(Option<Element<'a>>),
}

/// The elements to answer, in order.
fn sorted<'a>(
    source: Source<'a, '_>,
    value: Option<ValueRef<'a>>,
    options: &Options<'_>,
) -> Result<Vec<Element<'a>>, CommandError> {
    let by = options.by_pattern();
    // What is stored must not depend on the order that a set happens to have.
    let by_themselves = options.store.is_some() && matches!(value, Some(ValueRef::Set(_)));
    let alpha = options.alpha || by_themselves && options.by.is_some() && by.is_none();
    let in_order = options.by.is_some() && by.is_none() && !by_themselves;
    let elements: Vec<Element<'a>> = match value {
        None => Vec::new(),
        Some(ValueRef::List(list)) if in_order => {
            let range = options.range(list.len());
            let (first, count) = (range.start, range.len());
            return Ok(if !options.descending {
                list.iter_from(first).take(count).collect()
            } else if let Some(last) = list.len().checked_sub(first + 1) {
                list.iter_rev_from(last).take(count).collect()
            } else {
                Vec::new()
            });
        }
        Some(ValueRef::List(list)) => list.iter().collect(),
        Some(ValueRef::Set(set)) => set.iter().collect(),
        Some(ValueRef::SortedSet(set)) if in_order => {
            let members = set.len();
            let range = options.range(members);
            return Ok(if options.descending {
                set.iter()
                    .rev()
                    .skip(range.start)
                    .take(range.len())
                    .map(|(member, _)| member)
                    .collect()
            } else {
                set.range(range).map(|(member, _)| member).collect()
            });
        }
        Some(ValueRef::SortedSet(set)) => set.iter().map(|(member, _)| member).collect(),
        Some(_) => return Err(CommandError::WrongType),
    };
    if in_order {
        return Ok(elements[options.range(elements.len())].to_vec());
    }
    let mut weighed = Vec::with_capacity(elements.len());
    for element in elements {
        let word = match &by {
            Some(pattern) => pattern.look_up(source, element),
            None => Some(element),
        };
        let weight = match word {
            word if alpha => Weight::Text(word),
            Some(Element::Int(integer)) => Weight::Number(integer as f64),
            Some(Element::Bytes(text)) => Weight::Number(number(text).ok_or(NOT_NUMBERS)?),
            None => Weight::Number(0.0),
        };
        weighed.push((weight, element));
    }
    let compare = |a: &(Weight<'_>, Element<'_>), b: &(Weight<'_>, Element<'_>)| {
        let order = match (&a.0, &b.0) {
            (Weight::Number(a), Weight::Number(b)) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
            (Weight::Text(Some(a)), Weight::Text(Some(b))) => compare_texts(*a, *b),
            (Weight::Text(a), Weight::Text(b)) => a.is_some().cmp(&b.is_some()),
            _ => Ordering::Equal,
        };
        let order = order.then_with(|| compare_texts(a.1, b.1));
        if options.descending {
            order.reverse()
        } else {
            order
        }
    };
    let range = options.range(weighed.len());
    if range.is_empty() {
        return Ok(Vec::new());
    }
    // Only what is answered is put in order.
    if range.end < weighed.len() {
        weighed.select_nth_unstable_by(range.end, compare);
        weighed.truncate(range.end);
    }
    if range.start > 0 {
        weighed.select_nth_unstable_by(range.start, compare);
        weighed.drain(..range.start);
    }
    weighed.sort_by(compare);
    Ok(weighed.into_iter().map(|(_, element)| element).collect())
}

const NOT_NUMBERS: CommandError =
    CommandError::text("ERR One or more scores can't be converted into double");

/// A number as C's `strtod` reads it; nothing at all is 0.
fn number(text: &[u8]) -> Option<f64> {
    let end = text.iter().position(|byte| *byte == 0);
    let text = &text[..end.unwrap_or(text.len())];
    if text.is_empty() {
        return Some(0.0);
    }
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let spaces = text.iter().take_while(|byte| is_space(byte)).count();
    let digits = &text[spaces..];
    let (number, len) = crate::script::parse_number(digits)?;
    let names_infinity = digits.iter().any(|byte| byte.eq_ignore_ascii_case(&b'n'));
    // Too large or too small a number is none.
    let fits = match number {
        number if number.is_nan() => false,
        number if number.is_infinite() => names_infinity,
        0.0 => !digits[..len]
            .iter()
            .take_while(|byte| !matches!(byte, b'e' | b'E' | b'p' | b'P'))
            .any(|byte| matches!(byte, b'1'..=b'9')),
        _ => true,
    };
    (fits && len == digits.len()).then_some(number)
}

fn compare_texts(a: Element<'_>, b: Element<'_>) -> Ordering {
    let (mut one, mut other) = ([0; INTEGER_TEXT_SIZE_MAX], [0; INTEGER_TEXT_SIZE_MAX]);
    a.to_bytes(&mut one).cmp(b.to_bytes(&mut other))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::testkit::{Bench, check};

    /// A bench with lists under these keys.
    fn bench(lists: &[(&str, &[&str])]) -> Bench {
        let bench = Bench::new();
        let keyspace = &bench.engine.keyspace;
        let mut access = keyspace.open(Footprint::ALL, bench.now);
        for (key, elements) in lists {
            let mut list = List::new();
            let elements = elements.iter().map(|text| text.as_bytes());
            list.push(End::Back, elements, bench.engine.settings.list_limits());
            let mut db = access.db_mut(0);
            let key = db.key(key.as_bytes());
            db.set_value(key, list.into(), Expire::Clear);
        }
        drop(access);
        bench
    }

    #[rstest]
    #[case("SORT l", "[-1 2 10 10 33]")]
    #[case("SORT l DESC", "[33 10 10 2 -1]")]
    #[case("SORT_RO l ALPHA", "[-1 10 10 2 33]")]
    #[case("SORT l LIMIT 1 2", "[2 10]")]
    #[case("SORT l LIMIT 9 2", "[]")]
    #[case("SORT l LIMIT -3 2 DESC", "[33 10]")]
    #[case("SORT l LIMIT 2 -1", "[10 10 33]")]
    #[case("SORT l LIMIT 2 0", "[]")]
    #[case("SORT l BY nosort", "[10 2 33 -1 10]")]
    #[case("SORT l BY nosort LIMIT 1 2", "[2 33]")]
    #[case("SORT l BY nosort DESC", "[10 -1 33 2 10]")]
    #[case("SORT l BY nosort LIMIT 1 2 DESC", "[-1 33]")]
    #[case("SORT l BY nosort LIMIT 4 9 DESC", "[10]")]
    #[case("SORT l BY nosort LIMIT 5 9 DESC", "[]")]
    #[case("SORT l BY nosort LIMIT 5 9", "[]")]
    #[case("SORT l BY w_*", "[33 -1 10 10 2]")]
    #[case("SORT l BY w_* GET # GET w_*", "[33 -5 -1 (nil) 10 1 10 1 2 7]")]
    #[case("SORT l BY w_* ALPHA DESC", "[2 10 10 33 -1]")]
    #[case("SORT l GET x", "[(nil) (nil) (nil) (nil) (nil)]")]
    #[case("SORT l GET w_*->f LIMIT 0 1", "[(nil)]")]
    #[case("SORT none", "[]")]
    #[case("SORT words", "ERR One or more scores can't be converted into double")]
    #[case("SORT words ALPHA", "[a b]")]
    #[case(
        "SORT w_2",
        "WRONGTYPE Operation against a key holding the wrong kind of value"
    )]
    #[case("SORT l LIMIT 1", "ERR syntax error")]
    #[case("SORT l LIMIT x 1", "ERR value is not an integer or out of range")]
    #[case("SORT_RO l STORE d", "ERR syntax error")]
    #[case("SORT l FOO", "ERR syntax error")]
    #[case("SORT l STORE d", "5")]
    #[case("SORT none STORE d", "0")]
    fn sorts(#[case] line: &str, #[case] expected: &str) {
        let mut bench = bench(&[
            ("l", &["10", "2", "33", "-1", "10"]),
            ("words", &["b", "a"]),
        ]);
        // -1 has no weight and counts as 0, or as less than any text.
        bench.line("MSET w_10 1 w_2 7 w_33 -5");
        assert_eq!(bench.line(line), expected);
    }

    #[test]
    fn sorts_sets() {
        check(
            "SADD s 3 1 2 | SORT s DESC | SADD s x | SORT s | SORT s ALPHA LIMIT 1 9 | SORT s BY nosort DESC STORE l | LRANGE l 0 -1 | SORT_RO s BY w_* ALPHA",
            "3 | [3 2 1] | 1 | ERR One or more scores can't be converted into double | [2 3 x] | 4 | [x 3 2 1] | [1 2 3 x]",
        );
    }

    #[test]
    fn stores() {
        let mut bench = bench(&[("l", &["3", "1", "2"]), ("d", &["x"])]);
        bench.line("SET w_1 a EX 5");
        assert_eq!(bench.line("SORT l GET w_* GET # STORE d"), "6");
        assert_eq!(bench.line("SORT d BY nosort"), "[a 1  2  3]");
        assert_eq!(bench.line("OBJECT ENCODING d"), "listpack");
        assert_eq!(bench.line("SORT none STORE d"), "0");
        assert_eq!(bench.line("EXISTS d"), "0");
        let log = bench.log_text();
        assert!(
            log.ends_with("SORT l GET w_* GET # STORE d | SORT none STORE d"),
            "{log}"
        );
    }

    #[rstest]
    #[case("a*b", Some(("a", "b", None)))]
    #[case("*->f", Some(("", "", Some("f"))))]
    #[case("a*b->f->g", Some(("a", "b", Some("f->g"))))]
    #[case("a*->", Some(("a", "->", None)))]
    #[case("x->y*z", Some(("x->y", "z", None)))]
    #[case("abc", None)]
    #[case("a\0*", None)]
    fn reads_patterns(#[case] text: &str, #[case] expected: Option<(&str, &str, Option<&str>)>) {
        let parsed = Pattern::parse(text.as_bytes());
        let parsed = parsed.map(|pattern| (pattern.prefix, pattern.suffix, pattern.field));
        let expected = expected.map(|(prefix, suffix, field)| {
            (
                prefix.as_bytes(),
                suffix.as_bytes(),
                field.map(str::as_bytes),
            )
        });
        assert_eq!(parsed, expected);
    }

    #[rstest]
    #[case("", Some(0.0))]
    #[case("1", Some(1.0))]
    #[case(" 1", Some(1.0))]
    #[case("1 ", None)]
    #[case("x", None)]
    #[case("0x10", Some(16.0))]
    #[case("inf", Some(f64::INFINITY))]
    #[case("nan", None)]
    #[case("1e999", None)]
    #[case("1e-999", None)]
    #[case("0e-999", Some(0.0))]
    fn reads_numbers(#[case] text: &str, #[case] expected: Option<f64>) {
        assert_eq!(number(text.as_bytes()), expected);
    }
}
