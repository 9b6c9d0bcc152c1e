//! The tensors that a pickle describes, each as a view of a storage.

use super::storage::{Storage, size};
use crate::error::{ConvertError, Result};
use crate::permute::extent;
use crate::read::pickle::{Id, Pickle, Value};
use crate::tensor::{MAX_RANK, TensorInfo};
use std::collections::HashSet;
use std::path::Path;

/// How deep dictionaries may nest; a dictionary that contains itself is deeper than anything.
const MAX_DEPTH: usize = 32;
/// Most entries of all dictionaries together.
const MAX_ENTRIES: usize = 1 << 16;
/// Longest name of a tensor.
const MAX_NAME: usize = 1024;
/// Bytes of all names of tensors together; R152x4's are 25 kB.
const MAX_NAMES: usize = 4 << 20;

/// A tensor as PyTorch describes it: a strided window of a storage, in elements.
#[derive(Debug)]
pub(super) struct View {
    pub(super) storage: String,
    /// Bytes of the whole storage.
    pub(super) storage_bytes: usize,
    pub(super) offset: usize,
    pub(super) stride: Vec<usize>,
    /// Elements from `offset` to one past the last that is used.
    pub(super) extent: usize,
}

/// Collects the tensors of a pickle whose root is a dictionary, and of the dictionaries inside it.
pub(super) fn tensors(pickle: &Pickle, path: &Path) -> Result<(Vec<TensorInfo>, Vec<View>)> {
    let Value::Dict(_) = pickle.get(pickle.root()) else {
        let reason = "expected a dictionary of tensors at the top (a state dict)";
        return Err(ConvertError::malformed(path, "pickle", reason));
    };
    let mut extractor = Extractor {
        pickle,
        path,
        tensors: vec![],
        views: vec![],
        names: HashSet::new(),
        entries: 0,
        name_bytes: 0,
    };
    extractor.dictionary(pickle.root(), "", 0)?;
    Ok((extractor.tensors, extractor.views))
}

struct Extractor<'a> {
    pickle: &'a Pickle,
    path: &'a Path,
    tensors: Vec<TensorInfo>,
    views: Vec<View>,
    names: HashSet<String>,
    entries: usize,
    name_bytes: usize,
}

impl Extractor<'_> {
    fn dictionary(&mut self, id: Id, prefix: &str, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            let reason = format!(
                "dictionaries nest deeper than {MAX_DEPTH} below `{prefix}`; does one contain itself?"
            );
            return Err(ConvertError::malformed(self.path, "pickle", reason));
        }
        let Value::Dict(pairs) = self.pickle.get(id) else {
            return Ok(());
        };
        for &(key, value) in pairs {
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                let reason = format!("the dictionaries have more than {MAX_ENTRIES} entries");
                return Err(ConvertError::malformed(self.path, "pickle", reason));
            }
            let name = match self.pickle.get(key) {
                Value::Str(key) if key.len() + prefix.len() <= MAX_NAME => format!("{prefix}{key}"),
                Value::Int(key) => format!("{prefix}{key}"),
                _ => continue, // no tensor that anyone could ask for
            };
            match self.pickle.get(value) {
                Value::Dict(_) => self.dictionary(value, &format!("{name}."), depth + 1)?,
                Value::Call(function, args) => self.call(name, function, *args)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn call(&mut self, name: String, function: &str, args: Id) -> Result<()> {
        let args = self.pickle.args(args);
        let built = match (function, &args[..]) {
            // A parameter is its tensor and flags.
            ("torch._utils._rebuild_parameter", [Value::Call(function, args), ..])
                if function.starts_with("torch._utils._rebuild_tensor") =>
            {
                let args = self.pickle.args(*args);
                self.tensor(&name, &args)
            }
            (function, args) if function.starts_with("torch._utils._rebuild_tensor") => {
                self.tensor(&name, args)
            }
            _ => return Ok(()), // a torch.Size or torch.device
        };
        let (info, view) = built?;
        if !self.names.insert(name.clone()) {
            return Err(ConvertError::tensor(self.path, &name, "occurs twice"));
        }
        self.name_bytes += name.len();
        if self.name_bytes > MAX_NAMES {
            let reason = format!("the names of its tensors have more than {MAX_NAMES} bytes");
            return Err(ConvertError::malformed(self.path, "pickle", reason));
        }
        self.tensors.push(info);
        self.views.push(view);
        Ok(())
    }

    /// `_rebuild_tensor(storage, offset, size, stride, …)`.
    fn tensor(&self, name: &str, args: &[&Value]) -> Result<(TensorInfo, View)> {
        let fail = |reason: &str| ConvertError::tensor(self.path, name, reason);
        let [Value::Persistent(storage), offset, shape, stride, ..] = args else {
            return Err(fail("expected (storage, offset, shape, stride)"));
        };
        let storage = Storage::parse(self.pickle, *storage).map_err(|reason| fail(&reason))?;
        let Storage { dtype, elements, .. } = storage;
        let Some(offset) = size(offset) else {
            return Err(fail("its offset is not a count"));
        };
        let (Some(shape), Some(stride)) = (self.sizes(shape), self.sizes(stride)) else {
            return Err(fail(&format!(
                "its shape or stride is not a tuple of at most {MAX_RANK} counts"
            )));
        };
        let info = TensorInfo {
            name: name.to_owned(),
            dtype,
            shape,
        };
        info.checked_byte_len(self.path)?;
        let end = extent(&info.shape, &stride)
            .filter(|extent| offset.checked_add(*extent).is_some_and(|end| end <= elements));
        // More elements than the storage has would let a small file claim any amount of memory.
        let Some(extent) = end.filter(|_| info.elements() <= elements) else {
            return Err(fail(&format!(
                "shape {:?} with stride {stride:?} at offset {offset} does not fit its storage of {elements} elements",
                info.shape
            )));
        };
        Ok((
            info,
            View {
                storage: storage.key.to_owned(),
                storage_bytes: storage.bytes(),
                offset,
                stride,
                extent,
            },
        ))
    }

    fn sizes(&self, value: &Value) -> Option<Vec<usize>> {
        match value {
            Value::Tuple(items) | Value::List(items) if items.len() <= MAX_RANK => {
                items.iter().map(|&id| size(self.pickle.get(id))).collect()
            }
            // torch.Size((…)) is recorded as a call with that tuple.
            Value::Call("torch.Size", args) => match self.pickle.args(*args)[..] {
                [tuple @ Value::Tuple(_)] => self.sizes(tuple),
                _ => None,
            },
            _ => None,
        }
    }
}
