//! The directive `memory-class <name> [db <n>[,<n>…]]… [prefix <text>]… [maxmemory <bytes>] [policy <policy>]`.
//!
//! Each line makes a class, or makes one of the same name anew; `memory-class <name> none` takes it away, `memory-class ""` all of
//! them. In the value of `CONFIG GET` and `CONFIG SET` a `;` is between two classes.

use djr_storage::keyspace::{CLASSES_MAX, EvictionPolicy, MemoryClass};

use crate::config::{Refusal, memory};

/// Changes classes as the words of a directive say.
pub(crate) fn change(classes: &mut Vec<MemoryClass>, words: &[&[u8]]) -> Result<(), Refusal> {
    let words = words.iter().filter(|word| !word.is_empty());
    let words: Vec<&[u8]> = words.copied().collect();
    if words.is_empty() {
        classes.clear();
        return Ok(());
    }
    for words in words.split(|word| *word == b";") {
        let Some((name, rest)) = words.split_first() else {
            continue;
        };
        let name = String::from_utf8(name.to_vec())
            .ok()
            .filter(|name| {
                name.bytes()
                    .all(|byte| byte.is_ascii_graphic() && byte != b';')
            })
            .ok_or(Refusal::Borrowed(
                "the name of a memory class is plain text",
            ))?;
        let place = classes.iter().position(|class| class.name == name);
        if matches!(rest, [word] if word.eq_ignore_ascii_case(b"none")) {
            place.map(|place| classes.remove(place));
            continue;
        }
        let class = read(name, rest)?;
        match place {
            Some(place) => classes[place] = class,
            None => classes.push(class),
        }
    }
    if classes.len() >= CLASSES_MAX {
        return Err(format!("there are at most {} memory classes", CLASSES_MAX - 1).into());
    }
    refuse_conflicts(classes)
}

fn read(name: String, words: &[&[u8]]) -> Result<MemoryClass, Refusal> {
    let mut class = MemoryClass {
        name,
        ..MemoryClass::default()
    };
    for pair in words.chunks(2) {
        let [what, value] = pair else {
            return Err("a word of memory-class has no value".into());
        };
        match () {
            () if what.eq_ignore_ascii_case(b"db") => {
                for number in value.split(|byte| *byte == b',') {
                    let number = std::str::from_utf8(number).ok();
                    let number = number.and_then(|number| number.parse().ok());
                    class
                        .dbs
                        .push(number.ok_or(Refusal::Borrowed("db is followed by its number"))?);
                }
            }
            () if what.eq_ignore_ascii_case(b"prefix") => {
                if value.contains(&b' ') || value.contains(&b';') {
                    return Err("a prefix has no spaces and no semicolons".into());
                }
                class.prefixes.push((*value).into());
            }
            () if what.eq_ignore_ascii_case(b"maxmemory") => {
                class.limit = memory(value).ok_or("maxmemory is followed by a memory value")?;
            }
            () if what.eq_ignore_ascii_case(b"policy")
                || what.eq_ignore_ascii_case(b"maxmemory-policy") =>
            {
                class.policy = EvictionPolicy::named(value)
                    .ok_or("policy is followed by one of maxmemory-policy's values")?;
            }
            () => {
                return Err(
                    "memory-class <name> [db <n>[,<n>...]] [prefix <text>] [maxmemory <bytes>] [policy <policy>], or <name> none"
                        .into(),
                );
            }
        }
    }
    if class.dbs.is_empty() && class.prefixes.is_empty() {
        return Err("a memory class has a db or a prefix".into());
    }
    class.dbs.sort_unstable();
    class.dbs.dedup();
    Ok(class)
}

/// No key may belong to two classes with the same right.
fn refuse_conflicts(classes: &[MemoryClass]) -> Result<(), Refusal> {
    let mut seen = std::collections::BTreeSet::new();
    for class in classes {
        let no_prefix = [Box::from(&b""[..])];
        let prefixes = match class.prefixes.is_empty() {
            true => &no_prefix[..],
            false => &class.prefixes,
        };
        for prefix in prefixes {
            let dbs = class.dbs.iter().copied().map(Some);
            let any = class.dbs.is_empty().then_some(None);
            for db in dbs.chain(any) {
                if !seen.insert((prefix.clone(), class.prefixes.is_empty(), db)) {
                    return Err(format!(
                        "memory class '{}' is for the same keys as another one",
                        class.name
                    )
                    .into());
                }
            }
        }
    }
    Ok(())
}

/// The words of a class after the directive's name.
pub(crate) fn words_of(class: &MemoryClass) -> Vec<Vec<u8>> {
    let mut words = vec![class.name.clone().into_bytes()];
    if !class.dbs.is_empty() {
        let dbs: Vec<_> = class.dbs.iter().map(u32::to_string).collect();
        words.extend([b"db".to_vec(), dbs.join(",").into_bytes()]);
    }
    for prefix in &class.prefixes {
        words.extend([b"prefix".to_vec(), prefix.to_vec()]);
    }
    words.extend([b"maxmemory".to_vec(), class.limit.to_string().into_bytes()]);
    words.extend([b"policy".to_vec(), class.policy.name().into()]);
    words
}

/// All classes as one text, as `CONFIG GET` shows them.
pub(crate) fn print(classes: &[MemoryClass]) -> Vec<u8> {
    let texts = classes.iter().map(|class| words_of(class).join(&b' '));
    texts.collect::<Vec<_>>().join(&b" ; "[..])
}

/// The classes that such a text says.
pub(crate) fn parse(text: &[u8]) -> Vec<MemoryClass> {
    let mut classes = Vec::new();
    let words: Vec<&[u8]> = text.split(|byte| *byte == b' ').collect();
    // It was checked when it was set.
    let _ = change(&mut classes, &words);
    classes
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn set(before: &str, words: &str) -> Result<String, String> {
        let mut classes = parse(before.as_bytes());
        let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        change(&mut classes, &words).map_err(|refusal| refusal.into_owned())?;
        Ok(String::from_utf8(print(&classes)).unwrap())
    }

    const CACHE: &str = "cache db 1 maxmemory 1048576 policy allkeys-lru";

    #[rstest]
    #[case("", "cache db 1 maxmemory 1mb policy ALLKEYS-lru", CACHE)]
    #[case(CACHE, "", "")]
    #[case(CACHE, "cache none", "")]
    #[case(CACHE, "cache db 3,2,3", "cache db 2,3 maxmemory 0 policy noeviction")]
    #[case(
        "",
        "a prefix x: prefix y: db 0",
        "a db 0 prefix x: prefix y: maxmemory 0 policy noeviction"
    )]
    #[case(
        "",
        "a db 0 ; b db 1 policy volatile-ttl",
        "a db 0 maxmemory 0 policy noeviction ; b db 1 maxmemory 0 policy volatile-ttl"
    )]
    #[case(
        CACHE,
        "s prefix s: maxmemory 1k",
        "cache db 1 maxmemory 1048576 policy allkeys-lru ; s prefix s: maxmemory 1000 policy noeviction"
    )]
    fn classes_are_made_changed_and_taken_away(
        #[case] before: &str,
        #[case] words: &str,
        #[case] after: &str,
    ) {
        assert_eq!(set(before, words), Ok(after.to_owned()));
        assert_eq!(print(&parse(after.as_bytes())), after.as_bytes());
    }

    #[rstest]
    #[case("x", "a memory class has a db or a prefix")]
    #[case("x maxmemory 1mb", "a memory class has a db or a prefix")]
    #[case("x db", "a word of memory-class has no value")]
    #[case("x db one", "db is followed by its number")]
    #[case("x db 1 maxmemory 1qb", "maxmemory is followed by a memory value")]
    #[case(
        "x db 1 policy lru",
        "policy is followed by one of maxmemory-policy's values"
    )]
    #[case("x db 1", "memory class 'x' is for the same keys as another one")]
    #[case("x prefix a;b", "a prefix has no spaces and no semicolons")]
    fn nonsense_is_refused(#[case] words: &str, #[case] text: &str) {
        assert_eq!(set(CACHE, words), Err(text.to_owned()));
    }
}
