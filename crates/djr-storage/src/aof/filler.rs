//! What stands in the preallocated part of a file: comment lines, so that the file is a valid AOF as it is.
//!
//! ```text
//! … group, annotation\r\n #␣␣␣␣␣\r\n #␣␣␣…␣\r\n #␣␣␣…␣\r\n
//!                         └ the `#` behind each group turns what is left of
//!                           the line that the group ended in into a comment
//! ```
//!
//! Lines are 64 bytes and begin at multiples of 64. The file's size is always one line past a multiple of a sector:
//! a power cut leaves whole sectors, old or new, so bytes that follow filler at a sector's start are the rest of a torn
//! group, while what another server appended behind all the filler begins elsewhere. Recovery tells them apart by that.

use crate::disk::SECTOR;

/// Bytes per line, CRLF included.
pub(super) const LINE: u64 = 64;

const _: () = assert!(SECTOR.is_multiple_of(LINE), "a sector holds whole lines");

const PAGE: [u8; 4096] = {
    let mut page = [b' '; 4096];
    let mut at = 0;
    while at < page.len() {
        page[at] = b'#';
        page[at + 62] = b'\r';
        page[at + 63] = b'\n';
        at += 64;
    }
    page
};

/// Appends the filler for the file positions `from..to`.
pub(super) fn fill(from: u64, to: u64, out: &mut Vec<u8>) {
    let mut at = from;
    while at < to {
        let phase = (at % PAGE.len() as u64) as usize;
        let count = ((to - at) as usize).min(PAGE.len() - phase);
        out.extend_from_slice(&PAGE[phase..phase + count]);
        at += count as u64;
    }
}

/// The size to give a file so that at least `needed` bytes fit.
pub(super) fn preallocated_size(needed: u64, step: u64) -> u64 {
    let step = step.next_multiple_of(SECTOR).max(SECTOR);
    needed.next_multiple_of(step) + LINE
}

/// Whether a comment line (or the beginning of one, at the end of a file) is filler or what a group left of it.
pub(super) fn is_filler(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.first() == Some(&b'#')
        && line
            .iter()
            .skip_while(|&&byte| byte == b'#')
            .all(|&byte| byte == b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever position a group ends at, the rest of its line and all that follow are comments, shorter than 128 bytes.
    #[test]
    fn the_file_stays_made_of_comment_lines() {
        for end in 0..300 {
            let mut file = Vec::new();
            fill(0, 1024, &mut file);
            file[end] = b'#';
            for line in file[end..].split_inclusive(|&byte| byte == b'\n') {
                assert!(is_filler(line), "group end {end}: {line:?}");
                assert!(line.len() < 128);
            }
        }
    }

    #[test]
    fn filler_in_pieces_is_filler_in_one() {
        let mut whole = Vec::new();
        fill(0, 10_000, &mut whole);
        let mut pieces = Vec::new();
        let cuts = [0, 1, 63, 64, 65, 4095, 4096, 4097, 9000, 10_000];
        for cut in cuts.windows(2) {
            fill(cut[0], cut[1], &mut pieces);
        }
        assert!(whole == pieces);
    }

    #[test]
    fn preallocated_sizes_end_one_line_past_a_sector() {
        for (needed, step) in [
            (0, 1),
            (1, 512),
            (512, 512),
            (513, 4096),
            (1 << 22, 1 << 22),
        ] {
            let size = preallocated_size(needed, step);
            assert!(size > needed);
            assert_eq!(size % SECTOR, LINE);
        }
    }
}
