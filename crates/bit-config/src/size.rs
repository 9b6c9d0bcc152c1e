//! `SizeDict`: the ways in which transformers writes an image size.

use serde_json::{Map, Value, json};

use crate::error::ConfigError;
use crate::fields::{FromField, wrong};

/// Most pixels of a side.
const MAX_SIDE: usize = 1 << 16;
/// Most pixels of an image.
const MAX_AREA: usize = 1 << 27;

/// A size in pixels. Source: transformers' `SizeDict` and `VALID_SIZE_DICT_KEYS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SizeDict {
    /// Exactly `height` by `width`.
    HeightWidth {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
    /// The shorter edge; the other follows the aspect ratio.
    ShortestEdge(usize),
    /// The shorter edge, unless the longer one would exceed `longest_edge`.
    ShortestLongest {
        /// Wanted shorter edge.
        shortest_edge: usize,
        /// Most pixels of the longer edge.
        longest_edge: usize,
    },
    /// Accepted by transformers' validation, but its resize then fails.
    LongestEdge(usize),
    /// The largest size within both, with the aspect ratio kept.
    MaxHeightWidth {
        /// Most rows.
        max_height: usize,
        /// Most columns.
        max_width: usize,
    },
    /// Accepted by transformers' validation, but its resize then fails.
    Pixels {
        /// Fewest pixels.
        min_pixels: usize,
        /// Most pixels.
        max_pixels: usize,
    },
}

impl SizeDict {
    /// A square.
    pub const fn square(side: usize) -> Self {
        Self::HeightWidth {
            height: side,
            width: side,
        }
    }

    /// The key-value pairs in `preprocessor_config.json`.
    pub fn entries(self) -> Vec<(&'static str, usize)> {
        match self {
            Self::HeightWidth { height, width } => vec![("height", height), ("width", width)],
            Self::ShortestEdge(edge) => vec![("shortest_edge", edge)],
            Self::ShortestLongest {
                shortest_edge,
                longest_edge,
            } => {
                vec![("longest_edge", longest_edge), ("shortest_edge", shortest_edge)]
            }
            Self::LongestEdge(edge) => vec![("longest_edge", edge)],
            Self::MaxHeightWidth {
                max_height,
                max_width,
            } => {
                vec![("max_height", max_height), ("max_width", max_width)]
            }
            Self::Pixels {
                min_pixels,
                max_pixels,
            } => {
                vec![("max_pixels", max_pixels), ("min_pixels", min_pixels)]
            }
        }
    }

    /// Refuses sizes of 0 and beyond any image.
    pub(crate) fn validate(self, field: &str) -> Result<(), ConfigError> {
        let fault = |field: String, expected: String, found: usize| {
            Err(ConfigError::Field {
                field,
                expected,
                found: found.to_string(),
            })
        };
        let (mut area, is_area) = (1, matches!(self, Self::Pixels { .. }));
        for (key, pixels) in self.entries() {
            let most = if is_area { MAX_AREA } else { MAX_SIDE };
            if !(1..=most).contains(&pixels) {
                return fault(format!("{field}.{key}"), format!("between 1 and {most}"), pixels);
            }
            area *= if is_area { 1 } else { pixels };
        }
        match area > MAX_AREA {
            true => fault(field.into(), format!("at most {MAX_AREA} pixels"), area),
            false => Ok(()),
        }
    }

    pub(crate) fn to_value(self) -> Value {
        self.entries()
            .into_iter()
            .map(|(key, size)| (key.to_owned(), json!(size)))
            .collect::<Map<_, _>>()
            .into()
    }
}

/// Reads a size: a number, a pair (height, width) or an object. `square` says what a number means.
pub(crate) fn size_from_value(field: &str, value: &Value, square: bool) -> Result<SizeDict, ConfigError> {
    const EXPECTED: &str = "a whole number, a pair of them (height, width) or an object of them";
    let number = |v: &Value| usize::from_field(v).ok_or_else(|| wrong(field, EXPECTED, value));
    match value {
        Value::Object(map) => from_object(field, map),
        Value::Array(pair) => match pair.as_slice() {
            [height, width] => Ok(SizeDict::HeightWidth {
                height: number(height)?,
                width: number(width)?,
            }),
            _ => Err(wrong(field, EXPECTED, value)),
        },
        _ if square => number(value).map(SizeDict::square),
        _ => number(value).map(SizeDict::ShortestEdge),
    }
}

fn from_object(field: &str, map: &Map<String, Value>) -> Result<SizeDict, ConfigError> {
    let mut entries = Vec::new();
    for (key, value) in map {
        // transformers' SizeDict leaves out what is null.
        if !value.is_null() {
            let pixels = usize::from_field(value)
                .ok_or_else(|| wrong(&format!("{field}.{key}"), usize::EXPECTED, value))?;
            entries.push((key.as_str(), pixels));
        }
    }
    entries.sort_unstable();
    match entries[..] {
        [("height", height), ("width", width)] => Ok(SizeDict::HeightWidth { height, width }),
        [("shortest_edge", edge)] => Ok(SizeDict::ShortestEdge(edge)),
        [("longest_edge", longest_edge), ("shortest_edge", shortest_edge)] => Ok(SizeDict::ShortestLongest {
            shortest_edge,
            longest_edge,
        }),
        [("longest_edge", edge)] => Ok(SizeDict::LongestEdge(edge)),
        [("max_height", max_height), ("max_width", max_width)] => Ok(SizeDict::MaxHeightWidth {
            max_height,
            max_width,
        }),
        [("max_pixels", max_pixels), ("min_pixels", min_pixels)] => Ok(SizeDict::Pixels {
            min_pixels,
            max_pixels,
        }),
        _ => Err(ConfigError::SizeKeys {
            field: field.into(),
            found: map
                .keys()
                .map(|key| format!("'{key}'"))
                .collect::<Vec<_>>()
                .join(", "),
        }),
    }
}
