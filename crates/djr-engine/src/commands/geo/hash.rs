//! Places as 52-bit numbers, and distances: the same to the last digit as Redis's.
//!
//! ```text
//!   longitude  -180 … 180                  ──► 26 bits ─┐  interleaved, longitude's above latitude's:
//!   latitude   -85.05112878 … 85.05112878  ──► 26 bits ─┘  a cell's number; cut to 2n bits, a larger cell's
//! ```
//!
//! A score of a sorted set is such a number: each is a double without loss. So the members of a cell are a range of scores.

/// Bits of each coordinate in a score.
pub(super) const STEPS_MAX: u32 = 26;

const LONGITUDES: (f64, f64) = (-180.0, 180.0);
const LATITUDES: (f64, f64) = (-85.051_128_78, 85.051_128_78);
/// Latitudes of the geohashes that the world uses.
const LATITUDES_STANDARD: (f64, f64) = (-90.0, 90.0);

/// In meters.
pub(super) const EARTH_RADIUS: f64 = 6_372_797.560_856;
const RADIAN: f64 = std::f64::consts::PI / 180.0;

const EVEN_BITS: u64 = 0x5555_5555_5555_5555;
const ODD_BITS: u64 = 0xaaaa_aaaa_aaaa_aaaa;

/// A place in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) longitude: f64,
    pub(super) latitude: f64,
}

impl Place {
    /// Whether it can be stored: not too near to a pole.
    pub(super) fn is_valid(self) -> bool {
        (LONGITUDES.0..=LONGITUDES.1).contains(&self.longitude)
            && (LATITUDES.0..=LATITUDES.1).contains(&self.latitude)
    }

    /// The score of a member at this place.
    pub(super) fn to_score(self) -> f64 {
        Cell::of(self, STEPS_MAX).bits as f64
    }

    /// The middle of the smallest cell, which is what is left of a place in a score.
    pub(super) fn of_score(score: f64) -> Self {
        let area = Cell {
            bits: bits_of(score),
            steps: STEPS_MAX,
        }
        .area();
        let middle = |min: f64, max: f64, range: (f64, f64)| {
            let middle = (min + max) / 2.0;
            middle.min(range.1).max(range.0)
        };
        Self {
            longitude: middle(area.min.longitude, area.max.longitude, LONGITUDES),
            latitude: middle(area.min.latitude, area.max.latitude, LATITUDES),
        }
    }

    /// The distance in meters, on a sphere.
    pub(super) fn distance(self, other: Self) -> f64 {
        let v = ((radians(other.longitude) - radians(self.longitude)) / 2.0).sin();
        // Saves most of the work, and rounding.
        if v == 0.0 {
            return self.latitude_distance(other);
        }
        let (latitude, other_latitude) = (radians(self.latitude), radians(other.latitude));
        let u = ((other_latitude - latitude) / 2.0).sin();
        let a = u * u + latitude.cos() * other_latitude.cos() * v * v;
        2.0 * EARTH_RADIUS * a.sqrt().asin()
    }

    /// The distance in meters of their latitudes.
    pub(super) fn latitude_distance(self, other: Self) -> f64 {
        EARTH_RADIUS * (radians(other.latitude) - radians(self.latitude)).abs()
    }

    /// Its geohash in the form used elsewhere: eleven characters, the last of which says nothing.
    pub(super) fn to_text(self) -> [u8; 11] {
        const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
        let bits = interleave(
            offset(self.latitude, LATITUDES_STANDARD, STEPS_MAX),
            offset(self.longitude, LONGITUDES, STEPS_MAX),
        );
        let mut text = [ALPHABET[0]; 11];
        for (index, character) in text.iter_mut().take(10).enumerate() {
            *character = ALPHABET[(bits >> (47 - 5 * index)) as usize & 31];
        }
        text
    }
}

/// The bits of a score that need not be a place: what comes out of Redis on the processors that it mostly runs on.
fn bits_of(score: f64) -> u64 {
    const TOP: f64 = (1_u64 << 63) as f64;
    if score < TOP {
        integer_of(score) as u64
    } else {
        integer_of(score - TOP) as u64 ^ 1 << 63
    }
}

/// A score as a signed number: the lowest one, if it is too large in either direction.
pub(super) fn integer_of(score: f64) -> i64 {
    const TOP: f64 = (1_u64 << 63) as f64;
    if (-TOP..TOP).contains(&score) {
        score as i64
    } else {
        i64::MIN
    }
}

pub(super) fn radians(degrees: f64) -> f64 {
    degrees * RADIAN
}

pub(super) fn degrees(radians: f64) -> f64 {
    radians / RADIAN
}

/// Where in its range a coordinate is, as a number of `steps` bits (one more at the very end of the range).
fn offset(coordinate: f64, range: (f64, f64), steps: u32) -> u32 {
    let part = (coordinate - range.0) / (range.1 - range.0);
    (part * (1_u64 << steps) as f64) as u32
}

/// Bits of `even` in the even places, of `odd` in the odd ones.
fn interleave(even: u32, odd: u32) -> u64 {
    spread(even) | spread(odd) << 1
}

fn spread(number: u32) -> u64 {
    let mut bits = u64::from(number);
    for (shift, mask) in [
        (16, 0x0000_ffff_0000_ffff),
        (8, 0x00ff_00ff_00ff_00ff),
        (4, 0x0f0f_0f0f_0f0f_0f0f),
        (2, 0x3333_3333_3333_3333),
        (1, EVEN_BITS),
    ] {
        bits = (bits | bits << shift) & mask;
    }
    bits
}

/// The bits in the even places.
fn gather(number: u64) -> u32 {
    let mut bits = number & EVEN_BITS;
    for (shift, mask) in [
        (1, 0x3333_3333_3333_3333),
        (2, 0x0f0f_0f0f_0f0f_0f0f),
        (4, 0x00ff_00ff_00ff_00ff),
        (8, 0x0000_ffff_0000_ffff),
        (16, 0x0000_0000_ffff_ffff),
    ] {
        bits = (bits | bits >> shift) & mask;
    }
    bits as u32
}

/// A rectangle of places.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    pub(super) min: Place,
    pub(super) max: Place,
}

/// All places that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    bits: u64,
    /// Bits of each coordinate.
    steps: u32,
}

impl Cell {
    /// The cell of this size, 1 to 26 steps, that a place is in.
    pub(super) fn of(place: Place, steps: u32) -> Self {
        let latitude = offset(place.latitude, LATITUDES, steps);
        let longitude = offset(place.longitude, LONGITUDES, steps);
        let bits = interleave(latitude, longitude);
        Self { bits, steps }
    }

    pub(super) fn area(self) -> Area {
        let parts = (1_u64 << self.steps) as f64;
        let at = |offset: u32, range: (f64, f64)| {
            range.0 + (f64::from(offset) / parts) * (range.1 - range.0)
        };
        let (latitude, longitude) = (gather(self.bits), gather(self.bits >> 1));
        Area {
            min: Place {
                longitude: at(longitude, LONGITUDES),
                latitude: at(latitude, LATITUDES),
            },
            max: Place {
                longitude: at(longitude.wrapping_add(1), LONGITUDES),
                latitude: at(latitude.wrapping_add(1), LATITUDES),
            },
        }
    }

    /// The cell so many to the east and to the north, -1 to 1 each; beyond the last one comes the first.
    pub(super) fn neighbor(self, east: i32, north: i32) -> Self {
        let all = u64::MAX >> (64 - 2 * self.steps);
        // Adding to every second bit: the ones between pass the carry on.
        let step = |bits: u64, own: u64, direction: i32| {
            let between = !own & all;
            let moved = match direction {
                // At the very end of the range there is a bit too many, and as in Redis it stays.
                0 => return bits & own,
                1.. => (bits & own).wrapping_add(between + 1),
                _ => (bits & own | between).wrapping_sub(between + 1),
            };
            moved & own & all
        };
        let bits = step(self.bits, ODD_BITS, east) | step(self.bits, EVEN_BITS, north);
        Self { bits, ..self }
    }

    /// The scores of the places in it: from the first to before the second.
    pub(super) fn scores(self) -> (f64, f64) {
        let align = |bits: u64| (bits << (2 * (STEPS_MAX - self.steps))) as f64;
        (align(self.bits), align(self.bits + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(longitude: f64, latitude: f64) -> Place {
        Place {
            longitude,
            latitude,
        }
    }

    #[test]
    fn equals_known_scores() {
        let palermo = place(13.361_389, 38.115_556);
        assert_eq!(palermo.to_score(), 3_479_099_956_230_698.0);
        let catania = place(15.087_269, 37.502_669);
        assert_eq!(catania.to_score(), 3_479_447_370_796_909.0);
        assert_eq!(place(180.0, 0.0).to_score(), 10_133_099_161_583_616.0);
        let (a, b) = (
            Place::of_score(palermo.to_score()),
            Place::of_score(catania.to_score()),
        );
        assert_eq!(format!("{:.4}", a.distance(b)), "166274.1516");
        assert_eq!(&a.to_text(), b"sqc8b49rny0");
        assert_eq!(&b.to_text(), b"sqdtr74hyu0");
    }

    #[test]
    fn a_place_is_in_its_cell() {
        for index in 0..2000 {
            let place = place(
                f64::from(index * 7919 % 3599) / 10.0 - 180.0,
                f64::from(index * 104_729 % 1700) / 10.0 - 85.0,
            );
            for steps in 1..=STEPS_MAX {
                let cell = Cell::of(place, steps);
                let Area { min, max } = cell.area();
                assert!(min.longitude <= place.longitude && place.longitude <= max.longitude);
                assert!(min.latitude <= place.latitude && place.latitude <= max.latitude);
                let (from, to) = cell.scores();
                assert!((from..to).contains(&place.to_score()));
                assert_eq!(cell.neighbor(1, -1).neighbor(-1, 1), cell);
            }
        }
    }

    #[test]
    fn neighbors_touch() {
        let cell = Cell::of(place(13.0, 38.0), 10);
        let north_east = cell.neighbor(1, 1).area();
        assert_eq!(north_east.min, cell.area().max);
        let south_west = cell.neighbor(-1, -1).area();
        assert_eq!(south_west.max, cell.area().min);
        // Around the world.
        let last = Cell::of(place(179.99, 0.1), 5);
        assert_eq!(last.neighbor(1, 0).area().min.longitude, -180.0);
    }
}
