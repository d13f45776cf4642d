//! Pickles of every protocol, made by Python (`fixtures/make.py`), and what Python says of them; and bytes that are none.

#![allow(clippy::unwrap_used)]

use djr_cli::decode::{decode, pickle};
use proptest::prelude::*;

const PICKLES: &str = include_str!("fixtures/pickles.txt");

fn fixtures() -> Vec<(String, Vec<u8>, String)> {
    let (mut found, mut repr) = (Vec::new(), "");
    for line in PICKLES.lines() {
        let mut words = line.splitn(3, ' ');
        let (kind, name, rest) = (
            words.next().unwrap(),
            words.next().unwrap(),
            words.next().unwrap(),
        );
        if kind == "repr" {
            repr = rest;
            continue;
        }
        let digits: Vec<char> = rest.chars().collect();
        let bytes = digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
            .collect();
        found.push((format!("{name}.{kind}"), bytes, repr.to_owned()));
    }
    found
}

#[test]
fn plain_data_is_written_as_python_writes_it() {
    let all = fixtures();
    assert_eq!(all.len(), 13 * 6);
    for (name, bytes, repr) in all {
        let nodes = pickle::read(&bytes, &pickle::Limits::default())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let text = nodes.to_python();
        match name.split('.').next().unwrap() {
            // Named, not built.
            "ordered" => assert!(
                text.starts_with("<collections.OrderedDict("),
                "{name}: {text}"
            ),
            // As the call that it is.
            "complex" => assert_eq!(text, "complex(1.0, 2.0)", "{name}"),
            _ => assert_eq!(text, repr, "{name}"),
        }
        let decoded = decode(&bytes);
        assert_eq!(decoded.layers, ["pickle"], "{name}");
    }
}

#[test]
fn nothing_is_executed() {
    // What `os.system('touch /tmp/x')` looks like in protocol 0 and 4.
    for bytes in [
        &b"cos\nsystem\n(S'touch /tmp/x'\ntR."[..],
        b"\x80\x04\x95\x1e\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x8c\x06system\x93\x8c\x05touch\x85R.",
    ] {
        let text = pickle::read(bytes, &pickle::Limits::default()).unwrap().to_python();
        assert!(text.starts_with("<os.system('touch"), "{text}");
    }
}

#[test]
fn small_bombs_stay_small() {
    // A list of itself twice, thirty times over: a billion elements if it were written out.
    let mut bytes = b"\x80\x04]".to_vec();
    for _ in 0..60 {
        bytes.extend_from_slice(b"\x94](h\x00h\x00e\x940");
        bytes.extend_from_slice(b"](h\x00h\x00e");
    }
    bytes.push(b'.');
    let _ = decode(&bytes).to_text();
    let mut shared = b"\x80\x04]\x94".to_vec();
    for index in 0..60_u8 {
        shared.extend_from_slice(&[b']', 0x94, b'(', b'h', index, b'h', index, b'e']);
    }
    shared.push(b'.');
    assert!(decode(&shared).to_text().len() < 8 * 1024 * 1024);
    let _ = decode(&shared).to_json();
    // Depth.
    let mut deep = vec![0x80, 4];
    deep.extend(std::iter::repeat_n(b']', 100_000));
    deep.extend(std::iter::repeat_n(b'a', 99_999));
    deep.push(b'.');
    assert!(decode(&deep).to_text().len() < 10_000);
    let _ = decode(&deep).to_json();
    // The same within what is known.
    let mut calls = b"\x80\x04cdecimal\nDecimal\n\x94".to_vec();
    calls.extend_from_slice(b"K\x01\x94");
    for index in 1..80_u8 {
        calls.extend_from_slice(&[b'h', 0, b'h', index, b'h', index, 0x86, b'R', 0x94]);
    }
    calls.push(b'.');
    let _ = decode(&calls).to_text();
    // A length that is only promised.
    assert_eq!(
        pickle::read(
            b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.",
            &pickle::Limits::default()
        ),
        Err(pickle::PickleError::Short)
    );
}

proptest! {
    #[test]
    fn never_panics(bytes: Vec<u8>) {
        let _ = pickle::read(&bytes, &pickle::Limits::default());
        let decoded = decode(&bytes);
        let _ = (decoded.to_text(), decoded.to_json());
    }

    /// Opcodes in any order, and pickles with a byte changed.
    #[test]
    fn never_panics_on_opcodes(picks in proptest::collection::vec(proptest::sample::select(b".(0122NIJKMFGSVUTBCX])}ltdaesupqrghjcRobi\x80\x81\x85\x86\x87\x88\x8c\x8f\x90\x91\x92\x93\x94\x95\x96\x00\x01\n".to_vec()), 0..60)) {
        let decoded = decode(&[&b"\x80\x04"[..], &picks, b"."].concat());
        let _ = (decoded.to_text(), decoded.to_json());
        let _ = pickle::read(&picks, &pickle::Limits::default()).map(|nodes| nodes.to_python());
    }

    #[test]
    fn never_panics_on_damage(pick in 0..78_usize, at: prop::sample::Index, byte: u8) {
        let (_, mut bytes, _) = fixtures().swap_remove(pick);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(nodes) = pickle::read(&bytes, &pickle::Limits::default()) {
            let _ = (nodes.to_python(), nodes.to_json());
        }
    }
}
