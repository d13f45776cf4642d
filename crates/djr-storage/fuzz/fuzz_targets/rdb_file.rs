//! Any bytes are an RDB file or an error; what is read from one can be written, and read again.
#![no_main]

use djr_storage::rdb::{FileReader, Item, ValueLimits, dump, restore};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Ok(reader) = FileReader::new(input) else {
        return;
    };
    // Else hardly any input would get past the end.
    let mut reader = reader.without_checksum();
    let limits = ValueLimits::default();
    while let Ok(Some(item)) = reader.next_item() {
        if let Item::Entry(entry) = item
            && let Ok(value) = entry.value(&limits)
        {
            let payload = dump(value.as_ref(), 0, true);
            if let Err(error) = restore(&payload, &limits) {
                panic!("what was written can't be read: {error}");
            }
        }
    }
});
