//! Models inside the program.

/// A model that needs no file.
pub(crate) struct Builtin {
    /// What follows `builtin:`.
    pub name: &'static str,
    /// One line for lists.
    pub description: &'static str,
    pub config: &'static str,
    pub processor: &'static str,
    pub weights: &'static [u8],
}

/// Declares a builtin from its folder in `builtin/`.
macro_rules! builtin {
    ($name:literal, $description:literal) => {
        Builtin {
            name: $name,
            description: $description,
            config: include_str!(concat!("../builtin/", $name, "/config.json")),
            processor: include_str!(concat!("../builtin/", $name, "/preprocessor_config.json")),
            weights: include_bytes!(concat!("../builtin/", $name, "/model.safetensors")),
        }
    };
}

pub(crate) static BUILTINS: &[Builtin] = &[builtin!(
    "mnist",
    "handwritten digits at 32x32, 70 thousand parameters, 97.9% on 1000 MNIST test pictures"
)];

/// Name (with `builtin:`) and description of every model inside the program.
pub fn builtins() -> impl Iterator<Item = (String, &'static str)> {
    BUILTINS
        .iter()
        .map(|builtin| (format!("builtin:{}", builtin.name), builtin.description))
}
