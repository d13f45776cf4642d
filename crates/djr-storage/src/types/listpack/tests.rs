//! Listpacks against a vector of byte strings; the format against bytes written down by hand; broken input.

use proptest::prelude::*;

use super::*;

fn to_vecs(listpack: &Listpack) -> Vec<Vec<u8>> {
    listpack.iter().map(Element::to_vec).collect()
}

/// Elements around every limit of the encodings.
fn element() -> impl Strategy<Value = Vec<u8>> {
    let near = |center: i64| (-2i64..=2).prop_map(move |off| center.saturating_add(off));
    let integer = prop_oneof![
        any::<i64>(),
        -5000i64..5000,
        near(127),
        near(-4096),
        near(4095),
        near(i16::MAX.into()),
        near(i16::MIN.into()),
        near(0x7f_ffff),
        near(-0x80_0000),
        near(i32::MAX.into()),
        near(i32::MIN.into()),
        near(i64::MAX),
        near(i64::MIN),
    ];
    let len = prop_oneof![
        8 => 0usize..20,
        2 => 60usize..70,
        1 => 120usize..132,
        1 => 4090usize..4100,
        1 => 16_375usize..16_390
    ];
    prop_oneof![
        3 => integer.prop_map(|integer| integer.to_string().into_bytes()),
        4 => (len, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
        1 => prop::sample::select(vec!["", "-0", "007", "+1", " 1", "9223372036854775808"])
            .prop_map(|text| text.as_bytes().to_vec()),
    ]
}

#[derive(Clone, Debug)]
enum Change {
    Insert(prop::sample::Index, Vec<u8>),
    Push { front: bool, element: Vec<u8> },
    Replace(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    Shrink,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (any::<prop::sample::Index>(), element()).prop_map(|(at, element)| Change::Insert(at, element)),
        4 => (any::<bool>(), element()).prop_map(|(front, element)| Change::Push { front, element }),
        3 => (any::<prop::sample::Index>(), element()).prop_map(|(at, element)| Change::Replace(at, element)),
        3 => (any::<prop::sample::Index>(), 0usize..6).prop_map(|(at, count)| Change::Remove(at, count)),
        1 => Just(Change::Shrink),
    ]
}

/// The position of an index, or of the end.
fn position(listpack: &Listpack, index: usize) -> usize {
    listpack.seek(index as i64).unwrap_or(listpack.end())
}

fn apply(change: &Change, listpack: &mut Listpack, model: &mut Vec<Vec<u8>>) {
    match change {
        Change::Insert(at, element) => {
            let index = at.index(model.len() + 1);
            listpack.insert(position(listpack, index), element);
            model.insert(index, element.clone());
        }
        Change::Push {
            front: true,
            element,
        } => {
            listpack.push_front(element);
            model.insert(0, element.clone());
        }
        Change::Push { element, .. } => {
            listpack.push_back(element);
            model.push(element.clone());
        }
        Change::Replace(at, element) if !model.is_empty() => {
            let index = at.index(model.len());
            listpack.replace(position(listpack, index), element);
            model[index] = element.clone();
        }
        Change::Remove(at, count) if !model.is_empty() => {
            let index = at.index(model.len());
            let to = (index + count).min(model.len());
            let removed = listpack.remove_range(position(listpack, index), *count);
            assert_eq!(removed, to - index);
            model.drain(index..to);
        }
        Change::Replace(..) | Change::Remove(..) => {}
        Change::Shrink => listpack.shrink_to_fit(),
    }
}

proptest! {
    #[test]
    fn behaves_like_a_vector(changes in prop::collection::vec(change(), 0..60)) {
        let mut listpack = Listpack::new();
        let mut model: Vec<Vec<u8>> = Vec::new();
        for change in &changes {
            apply(change, &mut listpack, &mut model);
            prop_assert_eq!(validate(listpack.as_bytes()), Ok(()));
            prop_assert_eq!(listpack.len(), model.len());
            prop_assert_eq!(listpack.is_empty(), model.is_empty());
            let entries: usize = model.iter().map(|element| Listpack::entry_len(element)).sum();
            prop_assert_eq!(listpack.byte_len(), EMPTY.len() + entries);
            let largest = listpack.byte_len() + listpack.byte_len() / 8 + 24;
            prop_assert!(listpack.memory_bytes() <= SMALLEST_KEPT.max(listpack.byte_len() * 2 + 1).max(largest));
        }
        prop_assert_eq!(&to_vecs(&listpack), &model);
        let mut reversed: Vec<Vec<u8>> = listpack.iter_rev().map(Element::to_vec).collect();
        reversed.reverse();
        prop_assert_eq!(&reversed, &model);
        for (index, element) in model.iter().enumerate() {
            let at = listpack.seek(index as i64);
            prop_assert_eq!(at, listpack.seek(index as i64 - model.len() as i64));
            prop_assert!(listpack.get(at.unwrap()).unwrap().eq_bytes(element));
            for step in 1..3 {
                let found = model.iter().step_by(step).position(|other| other == element);
                prop_assert_eq!(
                    listpack.find(element, step),
                    found.map(|found| position(&listpack, found * step))
                );
            }
        }
        prop_assert_eq!(listpack.seek(model.len() as i64), None);
        prop_assert_eq!(listpack.seek(-1 - model.len() as i64), None);
        let copy = Listpack::from_bytes(listpack.as_bytes().to_vec());
        prop_assert_eq!(copy.as_ref(), Ok(&listpack));
    }

    #[test]
    fn broken_bytes_are_refused_or_safe(
        elements in prop::collection::vec(element(), 0..12),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = Listpack::from_iter(&elements).as_bytes().to_vec();
        for (at, byte) in &flips {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        use_if_accepted(bytes);
    }

    #[test]
    fn any_bytes_are_refused_or_safe(bytes in prop::collection::vec(any::<u8>(), 0..64), fix_total in any::<bool>()) {
        let mut bytes = bytes;
        if fix_total && bytes.len() >= 4 {
            let total = (bytes.len() as u32).to_le_bytes();
            bytes[..4].copy_from_slice(&total);
        }
        use_if_accepted(bytes);
    }
}

/// The size from which on blocks are made smaller.
const SMALLEST_KEPT: usize = 64;

/// Whatever is accepted can be walked and changed.
fn use_if_accepted(bytes: Vec<u8>) {
    let Ok(mut listpack) = Listpack::from_bytes(bytes.clone()) else {
        return;
    };
    assert_eq!(listpack.as_bytes(), bytes);
    let count = listpack.iter().count();
    assert_eq!(listpack.iter_rev().count(), count);
    listpack.push_front(b"front");
    listpack.push_back(b"-70000");
    while let Some(at) = listpack.last() {
        listpack.remove(at);
        assert_eq!(validate(listpack.as_bytes()), Ok(()));
    }
}

#[test]
fn every_byte_flipped() {
    let sample: Vec<Vec<u8>> = [
        "",
        "a",
        "5",
        "-1",
        "4095",
        "-70000",
        "3000000",
        "-5000000000",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .chain([vec![b'x'; 70], vec![b'y'; 5000]])
    .collect();
    let bytes = Listpack::from_iter(&sample).as_bytes().to_vec();
    for at in (0..250).chain(bytes.len() - 250..bytes.len()) {
        for bit in 0..8 {
            let mut broken = bytes.clone();
            broken[at] ^= 1 << bit;
            use_if_accepted(broken);
        }
        use_if_accepted(bytes[..at].to_vec());
    }
}

/// Bytes as Redis 7.0 has them in `DUMP` of a list of one element.
#[test]
fn is_redis_format() {
    let check = |element: &str, expected: &[u8]| {
        let listpack = Listpack::from_iter([element]);
        let entries = &listpack.as_bytes()[HEADER_SIZE..listpack.end()];
        assert_eq!(entries, expected, "{element}");
    };
    check("0", b"\x00\x01");
    check("127", b"\x7f\x01");
    check("128", b"\xc0\x80\x02");
    check("-1", b"\xdf\xff\x02");
    check("-4096", b"\xd0\x00\x02");
    check("4096", b"\xf1\x00\x10\x03");
    check("-4097", b"\xf1\xff\xef\x03");
    check("32768", b"\xf2\x00\x80\x00\x04");
    check("-8388609", b"\xf3\xff\xff\x7f\xff\x05");
    check("2147483648", b"\xf4\x00\x00\x00\x80\x00\x00\x00\x00\x09");
    check("", b"\x80\x01");
    check("abc", b"\x83abc\x04");
    check("-0", b"\x82-0\x03");
    let long = "x".repeat(300);
    check(&long, &[b"\xe1\x2c", long.as_bytes(), b"\x02\xae"].concat());
    let longer = "x".repeat(4096);
    check(
        &longer,
        &[b"\xf0\x00\x10\x00\x00", longer.as_bytes(), b"\x20\x85"].concat(),
    );
    for (len, backlen) in [(16_377, &b"\x7f\xfe"[..]), (16_378, b"\x00\xff\xff")] {
        let listpack = Listpack::from_iter(["x".repeat(len)]);
        assert!(
            listpack
                .as_bytes()
                .ends_with(&[b"xx", backlen, b"\xff"].concat())
        );
    }
    assert_eq!(Listpack::new().as_bytes(), b"\x07\0\0\0\0\0\xff");
}

#[test]
fn counts_what_the_header_cannot() {
    let mut listpack = Listpack::new();
    for _ in 0..65_534 {
        listpack.push_back(b"1");
    }
    assert_eq!(listpack.as_bytes()[4..6], 65_534u16.to_le_bytes());
    listpack.push_back(b"1");
    listpack.push_back(b"1");
    assert_eq!(listpack.as_bytes()[4..6], [0xff, 0xff]);
    assert_eq!(listpack.len(), 65_536);
    assert_eq!(listpack.remove_range(HEADER_SIZE, 65_000), 65_000);
    assert_eq!(listpack.len(), 536);
    assert_eq!(validate(listpack.as_bytes()), Ok(()));
    assert_eq!(listpack.remove_range(HEADER_SIZE, 1000), 536);
    assert_eq!(listpack.as_bytes(), EMPTY);
}

/// Redis's loader takes entries that could be shorter; so do we, and they are equal to the short ones.
#[test]
fn long_forms_are_understood() {
    let bytes = b"\x10\0\0\0\x03\0\xf1\x05\0\x03\x815\x02\x05\x01\xff".to_vec();
    let listpack = Listpack::from_bytes(bytes).unwrap();
    assert_eq!(
        to_vecs(&listpack),
        ["5", "5", "5"].map(|five| five.as_bytes().to_vec())
    );
    let mut found = 0;
    let mut at = HEADER_SIZE;
    while let Some(next) = listpack.find_from(at, b"5", 1) {
        found += 1;
        at = listpack.next(next).unwrap_or(listpack.end());
    }
    assert_eq!(found, 3);
}

#[test]
fn is_small() {
    assert_eq!(size_of::<Listpack>(), 16);
    assert_eq!(size_of::<Option<Listpack>>(), 16);
}

/// An entry in one of the forms that its content could have, be it longer than need be.
fn any_entry() -> impl Strategy<Value = Vec<u8>> {
    let integer = (any::<i64>(), 0_u32..60, 0_usize..6).prop_map(|(wide, shift, form)| {
        let integer = wide >> shift;
        let wide = integer.to_le_bytes();
        match form {
            0 if (0..128).contains(&integer) => vec![integer as u8],
            1 if (-4096..4096).contains(&integer) => {
                (0xc000 | (integer as u16 & 0x1fff)).to_be_bytes().to_vec()
            }
            2 if i16::try_from(integer).is_ok() => [&[0xf1], &wide[..2]].concat(),
            3 if (-0x80_0000..0x80_0000).contains(&integer) => [&[0xf2], &wide[..3]].concat(),
            4 if i32::try_from(integer).is_ok() => [&[0xf3], &wide[..4]].concat(),
            _ => [&[0xf4], &wide[..]].concat(),
        }
    });
    let string = (element(), 0_usize..6).prop_map(|(bytes, form)| {
        let len = bytes.len();
        let head = match form {
            0 => vec![0xf0, len as u8, (len >> 8) as u8, 0, 0],
            1 if len < 4096 => (0xe000 | len as u16).to_be_bytes().to_vec(),
            _ if len < 64 => vec![0x80 | len as u8],
            _ if len < 4096 => (0xe000 | len as u16).to_be_bytes().to_vec(),
            _ => vec![0xf0, len as u8, (len >> 8) as u8, 0, 0],
        };
        [head, bytes].concat()
    });
    let added = element().prop_map(|bytes| {
        let listpack = Listpack::from_iter([bytes]);
        let entry = &listpack.as_bytes()[HEADER_SIZE..listpack.end()];
        let body = (0..entry.len()).rfind(|at| entry::backlen_size(*at) + at == entry.len());
        entry[..body.unwrap_or_default()].to_vec()
    });
    prop_oneof![1 => integer, 1 => string, 6 => added]
}

fn listpack_of(entries: &[Vec<u8>]) -> Listpack {
    let mut bytes = vec![0; HEADER_SIZE];
    bytes[4..].copy_from_slice(&(entries.len() as u16).to_le_bytes());
    for entry in entries {
        bytes.extend_from_slice(entry);
        let mut groups = vec![0; entry::backlen_size(entry.len())];
        let mut len = entry.len();
        for (nth, group) in groups.iter_mut().enumerate().rev() {
            *group = (len & 0x7f) as u8 | if nth == 0 { 0 } else { 0x80 };
            len >>= 7;
        }
        bytes.extend(groups);
    }
    bytes.push(entry::END);
    let len = bytes.len() as u32;
    bytes[..4].copy_from_slice(&len.to_le_bytes());
    Listpack::from_bytes(bytes).expect("a listpack")
}

proptest! {
    #[test]
    fn canonical_is_what_adding_makes(entries in prop::collection::vec(any_entry(), 0..4), longest in 0_usize..80) {
        let listpack = listpack_of(&entries);
        let added: Listpack = to_vecs(&listpack).into_iter().collect();
        let is_short = to_vecs(&listpack).iter().all(|element| element.len() <= longest);
        prop_assert_eq!(listpack.is_canonical(longest), added == listpack && is_short);
        prop_assert_eq!(listpack.is_canonical(usize::MAX), added == listpack);
    }

    #[test]
    fn distinct_is_what_a_set_keeps(numbers in prop::collection::vec(0_u32..4000, 0..400), step in 1_usize..3) {
        let text = |number: &u32| if number.is_multiple_of(2) { number.to_string() } else { format!("n{number}") };
        for numbers in [&numbers[..], &numbers[..numbers.len() / 10]] {
            let listpack: Listpack = numbers.iter().map(text).collect();
            let set: std::collections::HashSet<_> = numbers.iter().step_by(step).collect();
            prop_assert_eq!(listpack.are_distinct(step), set.len() == numbers.len().div_ceil(step));
        }
    }
}
