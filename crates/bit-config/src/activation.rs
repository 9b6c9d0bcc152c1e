//! Activation functions, by transformers' names.

use std::fmt;
use std::str::FromStr;

use crate::error::ConfigError;

/// Declares the enum, its table of names and its documentation in one place.
macro_rules! activations {
    ($($variant:ident = $name:literal, $formula:literal;)*) => {
        /// The functions of transformers' `ACT2FN` table that have no parameters of their own.
        ///
        /// Aliases are kept apart, so that a configuration is written back with the name it was read with.
        /// `prelu` and `xielu` of that table are learned and not supported.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Activation {
            $(#[doc = concat!("`", $name, "`: ", $formula)] $variant,)*
        }

        impl Activation {
            /// All of them, in transformers' order.
            pub const ALL: &[Activation] = &[$(Activation::$variant),*];

            /// The name in `config.json`.
            pub const fn name(self) -> &'static str {
                match self { $(Activation::$variant => $name,)* }
            }
        }
    };
}

activations! {
    Gelu = "gelu", "`x * Phi(x)` with the error function";
    Gelu10 = "gelu_10", "`gelu` clipped to [-10, 10]";
    GeluFast = "gelu_fast", "`gelu_new` with sqrt(2/pi) rounded to 0.7978845608";
    GeluNew = "gelu_new", "`0.5x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`";
    GeluPython = "gelu_python", "`gelu`";
    GeluPytorchTanh = "gelu_pytorch_tanh", "`gelu_new`";
    GeluPythonTanh = "gelu_python_tanh", "`gelu_new`";
    GeluAccurate = "gelu_accurate", "`gelu_new`";
    HardSwish = "hardswish", "`x * relu6(x + 3) / 6`";
    Laplace = "laplace", "`0.5 (1 + erf((x - 0.707107) / (0.282095 sqrt(2))))`";
    LeakyRelu = "leaky_relu", "slope 0.01 below zero";
    Linear = "linear", "`x`";
    Mish = "mish", "`x * tanh(softplus(x))`";
    QuickGelu = "quick_gelu", "`x * sigmoid(1.702 x)`";
    Relu = "relu", "`max(x, 0)`";
    Relu2 = "relu2", "`relu(x)^2`";
    Relu6 = "relu6", "`min(max(x, 0), 6)`";
    Sigmoid = "sigmoid", "`1 / (1 + exp(-x))`";
    Silu = "silu", "`x * sigmoid(x)`";
    SqrtSoftplus = "sqrtsoftplus", "`sqrt(softplus(x))`";
    Swish = "swish", "`silu`";
    Tanh = "tanh", "`tanh(x)`";
}

impl Activation {
    /// The known names, separated by commas, for messages.
    pub fn known() -> String {
        Self::ALL.iter().map(|a| a.name()).collect::<Vec<_>>().join(", ")
    }
}

impl Default for Activation {
    /// `relu`, as in `BitConfig`.
    fn default() -> Self {
        Self::Relu
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Activation {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        let found = Self::ALL.iter().find(|a| a.name() == name);
        found
            .copied()
            .ok_or_else(|| ConfigError::Activation(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_name_reads_back_as_itself() {
        for act in Activation::ALL {
            assert_eq!(act.to_string().parse::<Activation>().unwrap(), *act);
        }
    }

    #[test]
    fn unknown_name_lists_the_known_ones() {
        let message = "prelu".parse::<Activation>().unwrap_err().to_string();
        assert!(
            message.starts_with("hidden_act=prelu is not known; known are gelu, gelu_10"),
            "{message}"
        );
        assert!(message.ends_with("swish, tanh"), "{message}");
    }
}
