//! What FUNCTION DUMP answers and FUNCTION RESTORE takes: for each library the byte 245 and its text, then version and checksum as
//! behind a value.

use super::payload::{open, seal};
use super::writer::push_string;
use super::{RdbError, Reader, VERSION};

/// Before the text of a library, in files, too.
const LIBRARY: u8 = 245;

/// The texts of libraries as FUNCTION DUMP gives them.
pub fn dump_functions<'a>(libraries: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    for code in libraries {
        out.push(LIBRARY);
        push_string(&mut out, code);
    }
    seal(&mut out, VERSION);
    out
}

/// The texts of the libraries in such a payload. [`RdbError::Version`] and [`RdbError::Checksum`] come before anything is read.
pub fn restore_functions(payload: &[u8]) -> Result<Vec<Vec<u8>>, RdbError> {
    let (body, _) = open(payload)?;
    let mut reader = Reader::new(body);
    let mut libraries = Vec::new();
    while !reader.rest().is_empty() {
        match reader.byte()? {
            LIBRARY => libraries.push(reader.string()?.into_owned()),
            other => return Err(RdbError::UnknownType(other)),
        }
    }
    Ok(libraries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_come_back_and_nothing_else_does() {
        let libraries: [&[u8]; 3] = [b"#!lua name=a\n", &[b'x'; 5000], b""];
        let payload = dump_functions(libraries.into_iter());
        assert_eq!(
            restore_functions(&payload),
            Ok(libraries.map(<[u8]>::to_vec).to_vec())
        );
        assert_eq!(
            restore_functions(&dump_functions(std::iter::empty())),
            Ok(Vec::new())
        );
        for at in 0..payload.len() {
            let mut damaged = payload.clone();
            damaged[at] ^= 1;
            assert!(restore_functions(&damaged).is_err(), "byte {at}");
            assert!(restore_functions(&payload[..at]).is_err(), "cut at {at}");
        }
        // As redis 7.0 has dumped it.
        let theirs = b"\xf5=#!lua name=lib\nredis.register_function(\"one\", function() end)\xf5\xc3@p@z\x1f#!lua name=Lib2\nredis.register_f\x07unction{\xc0\x08\x00_`*\x0f\"two\", callback=\xc0\x1d\x1f() end, flags={\"no-writes\"},desc\x02rip@M\x04=\"d\"}\x0c\x00\x87w[\xd2\xf3'\xb3\xa1";
        let libraries = restore_functions(theirs).expect("a payload of redis 8");
        assert!(libraries[1].ends_with(b"description=\"d\"}"));
        assert_eq!(libraries.len(), 2);
    }
}
