//! Tensors of a checkpoint on their way into a model.

use std::collections::HashSet;

use bit_convert::{BitTensors, ConvertError, DType as StoredDType};
use burn::tensor::{DType, TensorData};

use crate::error::PretrainedError;
use crate::report::{HEAD, LoadReport, ShapeMismatch};

/// One pass over a model's parameters, keeping the report and the first error.
pub(crate) struct Loading<'a> {
    tensors: &'a BitTensors<'a>,
    prefix: &'static str,
    fresh_head: bool,
    report: LoadReport,
    error: Option<PretrainedError>,
}

impl<'a> Loading<'a> {
    pub(crate) fn new(tensors: &'a BitTensors<'a>, prefix: &'static str, fresh_head: bool) -> Self {
        Self {
            tensors,
            prefix,
            fresh_head,
            report: LoadReport::default(),
            error: None,
        }
    }

    /// A parameter's value, when the file has it in the expected shape.
    pub(crate) fn load(&mut self, path: &str, expected: &[usize]) -> Option<TensorData> {
        let name = format!("{}{path}", self.prefix);
        let stored = self
            .tensors
            .info(&name)
            .filter(|_| !(self.fresh_head && is_head(&name)));
        let Some(stored) = stored else {
            self.report.missing.push(name);
            return None;
        };
        if stored.shape != expected {
            let (expected, found) = (expected.to_vec(), stored.shape.clone());
            self.report.mismatched.push(ShapeMismatch {
                name,
                expected,
                found,
            });
            return None;
        }
        match read(self.tensors, &name) {
            Ok(data) => {
                self.report.applied.push(name);
                Some(data)
            }
            Err(error) => {
                self.error.get_or_insert(error.into());
                None
            }
        }
    }

    /// Adds what the file held beyond the model.
    pub(crate) fn finish(mut self) -> Result<LoadReport, PretrainedError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let asked: HashSet<&String> = self
            .report
            .applied
            .iter()
            .chain(self.report.mismatched.iter().map(|tensor| &tensor.name))
            .collect();
        let stored = self.tensors.tensors().iter().map(|info| &info.name);
        let unused = stored.filter(|name| !asked.contains(name)).cloned().collect();
        self.report.unused = unused;
        let prefix = self.tensors.prefix();
        let (inside, outside) = self
            .tensors
            .unused()
            .iter()
            .cloned()
            .partition::<Vec<_>, _>(|name| name.starts_with(prefix));
        self.report.unused.extend(inside);
        self.report.outside = outside;
        Ok(self.report)
    }
}

/// A tensor in its own element type.
fn read(tensors: &BitTensors<'_>, name: &str) -> Result<TensorData, ConvertError> {
    let shape = tensors.info(name).map(|info| info.shape.clone());
    if let (Some(shape), Some(values)) = (shape, tensors.read_f32(name)?) {
        return Ok(TensorData::new(values, shape));
    }
    let tensor = tensors.read(name)?;
    let dtype = burn_dtype(tensor.dtype);
    Ok(TensorData::from_bytes_vec(tensor.bytes, tensor.shape, dtype))
}

fn is_head(name: &str) -> bool {
    name.starts_with(HEAD)
}

/// The same element type in Burn's words. Parameters are of floating-point numbers, or `to_transformers` refuses them.
fn burn_dtype(dtype: StoredDType) -> DType {
    match dtype {
        StoredDType::F64 => DType::F64,
        StoredDType::F32 => DType::F32,
        StoredDType::F16 => DType::F16,
        StoredDType::BF16 => DType::BF16,
        StoredDType::I64 => DType::I64,
        StoredDType::I32 => DType::I32,
        StoredDType::I16 => DType::I16,
        StoredDType::I8 => DType::I8,
        StoredDType::U64 => DType::U64,
        StoredDType::U32 => DType::U32,
        StoredDType::U16 => DType::U16,
        StoredDType::U8 | StoredDType::Bool => DType::U8,
    }
}
