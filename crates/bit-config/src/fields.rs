//! Taking typed values out of a JSON object, with messages that name the field.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value};

use crate::error::ConfigError;

/// Most bytes of a configuration file: 21,843 labels in both directions are 2 MB.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// Reads a small text file, refusing one that is too large before any of it is kept.
pub(crate) fn read_text(path: &Path) -> Result<String, ConfigError> {
    let io = |source| ConfigError::Io {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(io)?;
    let found = file.metadata().map_err(io)?.len();
    if found > MAX_FILE_BYTES {
        return Err(in_file(
            path,
            ConfigError::TooLarge {
                found,
                limit: MAX_FILE_BYTES,
            },
        ));
    }
    let mut text = String::new();
    file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(io)?;
    Ok(text)
}

/// Names the file in an error.
pub(crate) fn in_file(path: &Path, source: ConfigError) -> ConfigError {
    ConfigError::InFile {
        path: path.to_owned(),
        source: Box::new(source),
    }
}

/// A JSON object from which the known fields are taken one by one; what is left is unknown.
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    /// Parses a JSON object.
    pub(crate) fn parse(text: &str) -> Result<Self, ConfigError> {
        match serde_json::from_str(text)? {
            Value::Object(map) => Ok(Self(map)),
            other => Err(wrong("the file", "a JSON object", &other)),
        }
    }

    /// Removes a field: `None` when it is absent, a null stays a null.
    pub(crate) fn take_value(&mut self, field: &str) -> Option<Value> {
        self.0.shift_remove(field)
    }

    /// Removes a field: `None` when it is absent or null.
    pub(crate) fn take<T: FromField>(&mut self, field: &str) -> Result<Option<T>, ConfigError> {
        match self.take_value(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => T::from_field(&value)
                .map(Some)
                .ok_or_else(|| wrong(field, T::EXPECTED, &value)),
        }
    }

    /// Removes a field, or says its default.
    pub(crate) fn take_or<T: FromField>(&mut self, field: &str, default: T) -> Result<T, ConfigError> {
        Ok(self.take(field)?.unwrap_or(default))
    }

    /// What was not taken.
    pub(crate) fn rest(self) -> Map<String, Value> {
        self.0
    }
}

/// The error for a value that is not what its field needs.
pub(crate) fn wrong(field: &str, expected: &str, found: &Value) -> ConfigError {
    const SHOWN: usize = 60;
    let text = found.to_string();
    let mut short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    ConfigError::Field {
        field: field.to_owned(),
        expected: expected.to_owned(),
        found: short,
    }
}

/// A Rust type that a JSON value can hold.
pub(crate) trait FromField: Sized {
    /// What a message says the value must be.
    const EXPECTED: &'static str;

    /// The value, if it has the right type.
    fn from_field(value: &Value) -> Option<Self>;
}

impl FromField for bool {
    const EXPECTED: &'static str = "true or false";

    fn from_field(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

impl FromField for usize {
    const EXPECTED: &'static str = "a whole number, 0 or more";

    fn from_field(value: &Value) -> Option<Self> {
        usize::try_from(value.as_u64()?).ok()
    }
}

impl FromField for isize {
    const EXPECTED: &'static str = "a whole number";

    fn from_field(value: &Value) -> Option<Self> {
        isize::try_from(value.as_i64()?).ok()
    }
}

impl FromField for f64 {
    const EXPECTED: &'static str = "a number";

    fn from_field(value: &Value) -> Option<Self> {
        value.as_f64()
    }
}

impl FromField for String {
    const EXPECTED: &'static str = "a string";

    fn from_field(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

/// Implements the field type for a list of another.
macro_rules! list_field {
    ($($item:ty => $expected:literal;)*) => {
        $(impl FromField for Vec<$item> {
            const EXPECTED: &'static str = $expected;

            fn from_field(value: &Value) -> Option<Self> {
                value.as_array()?.iter().map(<$item>::from_field).collect()
            }
        })*
    };
}

list_field! {
    usize => "a list of whole numbers, 0 or more";
    isize => "a list of whole numbers";
    String => "a list of strings";
    f64 => "a list of numbers";
}

impl FromField for Map<String, Value> {
    const EXPECTED: &'static str = "an object";

    fn from_field(value: &Value) -> Option<Self> {
        value.as_object().cloned()
    }
}
