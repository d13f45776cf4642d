//! What a dictionary keeps beside each member.

pub use super::block::PayloadWriter;

/// What a dictionary keeps beside each member: some bytes of the member's block.
pub trait Payload: Send + 'static {
    /// As it is handed in and out.
    type Value<'a>: Copy;

    /// Its size in bytes if that is always the same; a block need not say it then. `None`: up to [`Payload::shape`].
    const SIZE: Option<usize>;

    /// The size in bytes, and a flag that costs no memory if the size varies (it is lost if it does not).
    fn shape(value: Self::Value<'_>) -> (usize, bool);

    /// Writes it: as many bytes as its shape says.
    fn write(value: Self::Value<'_>, out: &mut PayloadWriter<'_>);

    /// Reads what [`Payload::write`] wrote.
    fn read(bytes: &[u8], flag: bool) -> Self::Value<'_>;
}

/// Nothing: the members of a set.
impl Payload for () {
    type Value<'a> = ();
    const SIZE: Option<usize> = Some(0);

    fn shape((): ()) -> (usize, bool) {
        (0, false)
    }

    fn write((): (), _: &mut PayloadWriter<'_>) {}

    fn read(_: &[u8], _: bool) {}
}

/// The scores of a sorted set.
impl Payload for f64 {
    type Value<'a> = f64;
    const SIZE: Option<usize> = Some(size_of::<f64>());

    #[inline]
    fn shape(_: f64) -> (usize, bool) {
        (size_of::<f64>(), false)
    }

    #[inline]
    fn write(value: f64, out: &mut PayloadWriter<'_>) {
        out.put(&value.to_ne_bytes());
    }

    #[inline]
    fn read(bytes: &[u8], _: bool) -> f64 {
        bytes.try_into().map_or(0.0, f64::from_ne_bytes)
    }
}
