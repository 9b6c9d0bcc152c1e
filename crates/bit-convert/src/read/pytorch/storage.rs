//! Storages: the runs of elements that a pickle's tensors are views of.

use crate::read::pickle::{Id, Pickle, Value};
use crate::tensor::DType;

/// Longest name of a storage; torch writes numbers.
const MAX_KEY: usize = 128;

/// One of them, as the pickle declares it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Storage<'a> {
    pub(super) key: &'a str,
    pub(super) dtype: DType,
    pub(super) elements: usize,
}

impl<'a> Storage<'a> {
    /// `('storage', type, key, device, elements, …)`.
    pub(super) fn parse(pickle: &'a Pickle, id: Id) -> Result<Self, String> {
        let [
            Value::Str(tag),
            Value::Global(class),
            Value::Str(key),
            _,
            elements,
            rest @ ..,
        ] = &pickle.args(id)[..]
        else {
            return Err("expected a storage ('storage', type, key, device, elements)".to_owned());
        };
        if let [Value::Tuple(_), ..] = rest {
            return Err(
                "its storage is a part of another one, which only PyTorch before 0.4 wrote".to_owned(),
            );
        }
        let (Some(dtype), "storage") = (storage_dtype(class), tag.as_str()) else {
            return Err(format!("`{class}` is not a storage type"));
        };
        let elements = size(elements).filter(|elements| elements.checked_mul(dtype.size()).is_some());
        let Some(elements) = elements.filter(|_| key.len() <= MAX_KEY) else {
            return Err("the size or name of its storage is out of bounds".to_owned());
        };
        Ok(Self { key, dtype, elements })
    }

    /// The length, which cannot overflow.
    pub(super) fn bytes(self) -> usize {
        self.elements * self.dtype.size()
    }
}

/// A value as a count.
pub(super) fn size(value: &Value) -> Option<usize> {
    match value {
        Value::Int(n) => usize::try_from(*n).ok(),
        _ => None,
    }
}

fn storage_dtype(class: &str) -> Option<DType> {
    Some(match class {
        "torch.DoubleStorage" => DType::F64,
        "torch.FloatStorage" => DType::F32,
        "torch.HalfStorage" => DType::F16,
        "torch.BFloat16Storage" => DType::BF16,
        "torch.LongStorage" => DType::I64,
        "torch.IntStorage" => DType::I32,
        "torch.ShortStorage" => DType::I16,
        "torch.CharStorage" => DType::I8,
        "torch.ByteStorage" => DType::U8,
        "torch.BoolStorage" => DType::Bool,
        _ => return None,
    })
}
