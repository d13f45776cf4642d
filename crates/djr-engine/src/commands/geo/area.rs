//! What is searched for: shapes, and the cells that may have members in them.

use super::hash::{Area, Cell, EARTH_RADIUS, Place, STEPS_MAX, degrees, radians};

/// Half of the equator in the projection that the cells come from, in meters.
const MERCATOR_MAX: f64 = 20_037_726.37;

/// The places searched for; lengths in meters.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    Circle {
        center: Place,
        radius: f64,
    },
    Box {
        center: Place,
        width: f64,
        height: f64,
    },
    /// Not around a pole, and not over the 180th meridian.
    Polygon {
        vertices: Vec<Place>,
    },
}

impl Shape {
    /// Where distances are measured from.
    pub(super) fn center(&self) -> Place {
        match self {
            Self::Circle { center, .. } | Self::Box { center, .. } => *center,
            Self::Polygon { vertices } => centroid(vertices),
        }
    }

    /// The distance of a place from `center`, if the place is inside.
    pub(super) fn distance_if_inside(&self, center: Place, place: Place) -> Option<f64> {
        match self {
            Self::Circle { radius, .. } => {
                let distance = center.distance(place);
                (distance <= *radius).then_some(distance)
            }
            Self::Box { width, height, .. } => {
                // First what is cheap.
                if place.latitude_distance(center) > height / 2.0 {
                    return None;
                }
                let beside = Place {
                    latitude: place.latitude,
                    ..center
                };
                (place.distance(beside) <= width / 2.0).then(|| center.distance(place))
            }
            Self::Polygon { vertices } => {
                is_inside(vertices, place).then(|| center.distance(place))
            }
        }
    }

    /// A rectangle around the shape.
    fn bounds(&self) -> Area {
        let (center, width, height) = match self {
            Self::Circle { center, radius } => (*center, *radius, *radius),
            Self::Box {
                center,
                width,
                height,
            } => (*center, width / 2.0, height / 2.0),
            Self::Polygon { vertices } => return bounds_of(vertices),
        };
        let latitude = degrees(height / EARTH_RADIUS);
        // Nearer to the pole a degree is shorter.
        let nearer = if center.latitude < 0.0 {
            center.latitude - latitude
        } else {
            center.latitude + latitude
        };
        let longitude = degrees(width / EARTH_RADIUS / radians(nearer).cos());
        Area {
            min: Place {
                longitude: center.longitude - longitude,
                latitude: center.latitude - latitude,
            },
            max: Place {
                longitude: center.longitude + longitude,
                latitude: center.latitude + latitude,
            },
        }
    }

    /// No place inside is farther from the center, in meters.
    fn reach(&self) -> f64 {
        match self {
            Self::Circle { radius, .. } => *radius,
            Self::Box { width, height, .. } => {
                ((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0)).sqrt()
            }
            Self::Polygon { vertices } => {
                let center = centroid(vertices);
                let distances = vertices.iter().map(|vertex| center.distance(*vertex));
                distances.fold(0.0, f64::max)
            }
        }
    }

    /// The cells to search, in the order in which Redis searches them. All places inside are in one of them, except far
    /// north and south, where Redis does not find everything either.
    pub(super) fn cells(&self) -> Vec<Cell> {
        let (center, bounds) = (self.center(), self.bounds());
        let mut steps = steps_for(self.reach(), center.latitude);
        let mut cell = Cell::of(center, steps);
        let reaches = |cell: Cell| {
            cell.neighbor(0, 1).area().max.latitude >= bounds.max.latitude
                && cell.neighbor(0, -1).area().min.latitude <= bounds.min.latitude
                && cell.neighbor(1, 0).area().max.longitude >= bounds.max.longitude
                && cell.neighbor(-1, 0).area().min.longitude <= bounds.min.longitude
        };
        if steps > 1 && !reaches(cell) {
            steps -= 1;
            cell = Cell::of(center, steps);
        }
        let Area { min, max } = cell.area();
        // Neighbors on sides that the shape does not reach; of the largest cells none is left out.
        let (no_south, no_north) = (
            steps >= 2 && min.latitude < bounds.min.latitude,
            steps >= 2 && max.latitude > bounds.max.latitude,
        );
        let (no_west, no_east) = (
            steps >= 2 && min.longitude < bounds.min.longitude,
            steps >= 2 && max.longitude > bounds.max.longitude,
        );
        let around = [
            (0, 0),
            (0, 1),
            (0, -1),
            (1, 0),
            (-1, 0),
            (1, 1),
            (-1, 1),
            (1, -1),
            (-1, -1),
        ];
        let mut cells: Vec<Cell> = Vec::with_capacity(around.len());
        for (east, north) in around {
            let is_out = no_south && north < 0
                || no_north && north > 0
                || no_west && east < 0
                || no_east && east > 0;
            let neighbor = cell.neighbor(east, north);
            // Where cells are huge, a neighbor on one side is also that on the other.
            if !is_out && cells.last() != Some(&neighbor) {
                cells.push(neighbor);
            }
        }
        cells
    }
}

/// How small cells may be so that nine of them cover this radius.
fn steps_for(radius: f64, latitude: f64) -> u32 {
    if radius == 0.0 {
        return STEPS_MAX;
    }
    let (mut radius, mut steps) = (radius, 1_i32);
    while radius < MERCATOR_MAX {
        radius *= 2.0;
        steps += 1;
    }
    // Half a cell on each side, and one for the edges.
    steps -= 2;
    if latitude.abs() > 66.0 {
        steps -= if latitude.abs() > 80.0 { 2 } else { 1 };
    }
    steps.clamp(1, STEPS_MAX as i32) as u32
}

fn bounds_of(vertices: &[Place]) -> Area {
    let corner = |start: f64, join: fn(f64, f64) -> f64| Place {
        longitude: vertices
            .iter()
            .map(|place| place.longitude)
            .fold(start, join),
        latitude: vertices
            .iter()
            .map(|place| place.latitude)
            .fold(start, join),
    };
    Area {
        min: corner(f64::INFINITY, f64::min),
        max: corner(f64::NEG_INFINITY, f64::max),
    }
}

/// The middle of the vertices on the sphere: the direction of the sum of their unit vectors, as Valkey has it.
fn centroid(vertices: &[Place]) -> Place {
    let (mut x, mut y, mut z) = (0.0, 0.0, 0.0);
    for vertex in vertices {
        let (longitude, latitude) = (radians(vertex.longitude), radians(vertex.latitude));
        x += latitude.cos() * longitude.cos();
        y += latitude.cos() * longitude.sin();
        z += latitude.sin();
    }
    Place {
        longitude: degrees(y.atan2(x)),
        latitude: degrees(z.atan2(x.hypot(y))),
    }
}

/// Whether a ray from the place crosses an odd number of edges.
fn is_inside(vertices: &[Place], place: Place) -> bool {
    let mut inside = false;
    let Some(mut last) = vertices.last() else {
        return false;
    };
    for vertex in vertices {
        let crosses = (vertex.latitude > place.latitude) != (last.latitude > place.latitude)
            && place.longitude
                < (last.longitude - vertex.longitude) * (place.latitude - vertex.latitude)
                    / (last.latitude - vertex.latitude)
                    + vertex.longitude;
        inside ^= crosses;
        last = vertex;
    }
    inside
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

    /// No member inside is missed, and none is found twice.
    #[test]
    fn cells_cover_the_shape() {
        let mut bits = 7_u64;
        let mut random = |min: f64, max: f64| {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            min + (max - min) * ((bits >> 11) as f64 / (1_u64 << 53) as f64)
        };
        for round in 0..600 {
            let center = place(random(-150.0, 150.0), random(-60.0, 60.0));
            let size = 10_f64.powf(random(0.0, 5.8));
            let shape = match round % 3 {
                0 => Shape::Circle {
                    center,
                    radius: size,
                },
                1 => Shape::Box {
                    center,
                    width: size * random(0.1, 2.0),
                    height: size,
                },
                _ => Shape::Polygon {
                    vertices: (0..3 + round % 5)
                        .map(|_| place(random(-9.0, 9.0), random(-9.0, 9.0)))
                        .map(|by| {
                            let scale = size / 1e6;
                            place(
                                center.longitude + by.longitude * scale,
                                center.latitude + by.latitude * scale,
                            )
                        })
                        .collect(),
                },
            };
            let (cells, center, bounds) = (shape.cells(), shape.center(), shape.bounds());
            let mut found = 0;
            for _ in 0..200 {
                let place = place(
                    random(bounds.min.longitude, bounds.max.longitude),
                    random(bounds.min.latitude, bounds.max.latitude),
                );
                if shape.distance_if_inside(center, place).is_some() {
                    let score = place.to_score();
                    let in_cells = cells.iter().filter(|cell| {
                        let (from, to) = cell.scores();
                        (from..to).contains(&score)
                    });
                    assert_eq!(in_cells.count(), 1, "{shape:?} {place:?}");
                    found += 1;
                }
            }
            assert!(found > 0 || round % 3 == 2, "{shape:?}");
        }
    }

    #[test]
    fn knows_inside_from_outside() {
        // An L.
        let vertices: Vec<_> = [(0, 0), (10, 0), (10, 1), (1, 1), (1, 10), (0, 10)]
            .map(|(x, y)| place(f64::from(x), f64::from(y)))
            .into();
        for (x, y, inside) in [
            (0.5, 0.5, true),
            (9.0, 0.5, true),
            (0.5, 9.0, true),
            (5.0, 5.0, false),
            (-1.0, 0.5, false),
            (11.0, 0.5, false),
        ] {
            assert_eq!(is_inside(&vertices, place(x, y)), inside, "{x} {y}");
        }
    }
}
