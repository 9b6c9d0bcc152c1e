//! From the names and layouts a file happens to use to those of transformers, once, at the edge.

use crate::checkpoint::Checkpoint;
use crate::entry::Entry;
use crate::error::{ConvertError, Result};
use crate::layout::Layout;
use crate::names::{Dialect, Part, Slot, without_counters, without_variant};
use crate::tensor::{DType, Tensor, TensorInfo};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// A checkpoint's BiT network under transformers' names (`bit.…`, `classifier.1.…`) and in PyTorch's layouts,
/// whatever the file calls and stores it as.
#[derive(Debug)]
pub struct BitTensors<'a> {
    checkpoint: &'a Checkpoint,
    dialect: Dialect,
    prefix: String,
    tensors: Vec<TensorInfo>,
    /// For each tensor, its position in the checkpoint and how it is stored there.
    sources: Vec<(usize, Layout)>,
    by_name: HashMap<String, usize>,
    unused: Vec<String>,
}

impl Checkpoint {
    /// Finds the BiT network in this checkpoint: which dialect its names are of, and behind which prefix
    /// (`module.`, `state_dict.`, the backbone of a ViT-hybrid, DPT or MiDaS).
    ///
    /// Of several networks, the largest is taken, and of two equal ones an exponential moving average (`…ema.`), as
    /// timm does.
    ///
    /// # Errors
    ///
    /// When there is no BiT network, one of its layers has a parameter that BiT's does not have (those of a batch norm), a
    /// parameter occurs twice, or one is not of floating-point numbers or has a shape that its kind cannot have.
    pub fn to_transformers(&self) -> Result<BitTensors<'_>> {
        let names: Vec<_> = self.tensors().iter().map(|info| info.name.as_str()).collect();
        let Some((dialect, prefix)) = recognise(&names) else {
            let reason = "no tensor is named like BiT's first convolution (such as `bit.embedder.convolution.weight`, \
                 `stem.conv.weight` or `resnet/root_block/standardized_conv2d/kernel`)";
            return Err(ConvertError::NotBit {
                path: self.path().to_path_buf(),
                reason: reason.to_owned(),
            });
        };
        let mut slots = BTreeMap::new();
        let mut unused = Vec::new();
        for (index, info) in self.tensors().iter().enumerate() {
            let Some(slot) = parse(dialect, &prefix, &info.name) else {
                unused.push(info.name.clone());
                continue;
            };
            if let Some(other) = slots.insert(slot, index) {
                let reason = format!("is the same parameter as `{}`", self.tensors()[other].name);
                return Err(ConvertError::tensor(self.path(), &info.name, reason));
            }
        }
        self.refuse_foreign(dialect, &slots, &unused)?;
        BitTensors::build(self, dialect, prefix, slots, unused)
    }

    /// Refuses a layer of the network that has a parameter which BiT's does not have: the network is another one, whose
    /// other names and shapes may all be BiT's, and it would compute something else.
    fn refuse_foreign(
        &self,
        dialect: Dialect,
        slots: &BTreeMap<Slot, usize>,
        unused: &[String],
    ) -> Result<()> {
        let split = |name: &str| {
            let name = plain(dialect, name);
            let (layer, leaf) = name.rsplit_once(dialect.separator())?;
            Some((layer.to_owned(), leaf.to_owned()))
        };
        let layers: HashSet<_> = slots
            .values()
            .filter_map(|&index| split(&self.tensors()[index].name))
            .map(|(layer, _)| layer)
            .collect();
        let foreign = unused.iter().find_map(|name| {
            let (layer, leaf) = split(name)?;
            layers.contains(&layer).then_some((name, leaf))
        });
        let Some((name, leaf)) = foreign else {
            return Ok(());
        };
        let what = match leaf.as_str() {
            "running_mean" | "running_var" | "num_batches_tracked" => "batch norm, which BiT does not have",
            _ => "a parameter that this layer of BiT does not have",
        };
        Err(ConvertError::NotBit {
            path: self.path().to_path_buf(),
            reason: format!("`{name}`: {what}"),
        })
    }
}

impl<'a> BitTensors<'a> {
    fn build(
        checkpoint: &'a Checkpoint,
        dialect: Dialect,
        prefix: String,
        slots: BTreeMap<Slot, usize>,
        unused: Vec<String>,
    ) -> Result<Self> {
        let mut tensors = Vec::with_capacity(slots.len());
        let mut sources = Vec::with_capacity(slots.len());
        for (slot, index) in slots {
            let stored = &checkpoint.tensors()[index];
            if !stored.dtype.is_float() {
                let reason = format!("is of type {}, expected floating-point numbers", stored.dtype);
                return Err(ConvertError::tensor(checkpoint.path(), &stored.name, reason));
            }
            let layout = Layout::of(slot, dialect);
            let Some(shape) = layout.to_transformers(&stored.shape) else {
                let reason = format!("has shape {:?}, expected {}", stored.shape, layout.expected());
                return Err(ConvertError::tensor(checkpoint.path(), &stored.name, reason));
            };
            tensors.push(TensorInfo {
                name: transformers_name(slot),
                dtype: stored.dtype,
                shape,
            });
            sources.push((index, layout));
        }
        let by_name = tensors
            .iter()
            .enumerate()
            .map(|(i, info)| (info.name.clone(), i))
            .collect();
        Ok(Self {
            checkpoint,
            dialect,
            prefix,
            tensors,
            sources,
            by_name,
            unused,
        })
    }

    /// The checkpoint these come from.
    pub fn checkpoint(&self) -> &'a Checkpoint {
        self.checkpoint
    }

    /// What the file's names are of.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// What stands before the network's names in the file; empty for most.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The network's tensors in the order of the forward pass, the classifier last.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// One tensor's description by transformers' name.
    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.by_name.get(name).map(|&index| &self.tensors[index])
    }

    /// The name in the file of a tensor with this transformers name, for messages.
    pub fn stored_name(&self, name: &str) -> Option<&str> {
        self.by_name
            .get(name)
            .map(|&index| self.checkpoint.tensors()[self.sources[index].0].name.as_str())
    }

    /// Names in the file that are no part of the network.
    pub fn unused(&self) -> &[String] {
        &self.unused
    }

    /// Reads one tensor by transformers' name, in PyTorch's layout.
    ///
    /// # Errors
    ///
    /// As [`Checkpoint::read`].
    pub fn read(&self, name: &str) -> Result<Tensor> {
        let Some(&index) = self.by_name.get(name) else {
            let path = self.checkpoint.path().to_path_buf();
            return Err(ConvertError::MissingTensor {
                path,
                name: name.to_owned(),
            });
        };
        let info = &self.tensors[index];
        let bytes = self.entry(index).into_bytes(self.checkpoint.path())?.into_owned();
        Ok(Tensor {
            dtype: info.dtype,
            shape: info.shape.clone(),
            bytes,
        })
    }

    /// As [`read`](Self::read), for the elements of an f32 tensor, or `None` when it is of another type. Faster where the
    /// file has the tensor as it is here: it is read to where it stays.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_f32(&self, name: &str) -> Result<Option<Vec<f32>>> {
        match self.by_name.get(name) {
            Some(&index) if self.tensors[index].dtype != DType::F32 => Ok(None),
            Some(&index) if self.sources[index].1.is_transformers() => {
                self.checkpoint.read_index_f32(self.sources[index].0).map(Some)
            }
            _ => Ok(self.read(name)?.to_f32()),
        }
    }

    /// All tensors as a writer takes them.
    pub fn entries(&self) -> Vec<Entry<'_>> {
        (0..self.tensors.len()).map(|index| self.entry(index)).collect()
    }

    fn entry(&self, index: usize) -> Entry<'_> {
        let (source, layout) = self.sources[index];
        let rank = self.checkpoint.tensors()[source].shape.len();
        let info = self.tensors[index].clone();
        let stored = self.checkpoint.entry(source);
        stored.rearranged(info, layout.axes_to_transformers(rank))
    }
}

/// A parameter's name in `BitForImageClassification`.
fn transformers_name(slot: Slot) -> String {
    let name = slot
        .name(Dialect::Transformers)
        .expect("invariant: transformers names every parameter");
    if slot.part == Part::Head {
        name
    } else {
        format!("bit.{name}")
    }
}

/// The parameter of the network that stands behind `prefix`, or `None` for a tensor of something else.
fn parse(dialect: Dialect, prefix: &str, stored: &str) -> Option<Slot> {
    let name = plain(dialect, stored);
    if let Some(slot) = name
        .strip_prefix(prefix)
        .and_then(|rest| Slot::parse(dialect, rest))
        && !(dialect == Dialect::Transformers && slot.part == Part::Head)
    {
        return Some(slot);
    }
    // transformers keeps the classifier beside the network and not in it.
    let outside = prefix.strip_suffix("bit.").unwrap_or(prefix);
    let head = name
        .strip_prefix(outside)
        .and_then(|rest| Slot::parse(dialect, rest));
    head.filter(|slot| slot.part == Part::Head)
}

fn plain(dialect: Dialect, name: &str) -> String {
    match dialect {
        Dialect::Transformers => without_variant(name),
        dialect if dialect.is_hwio() => without_counters(name),
        _ => name.to_owned(),
    }
}

/// The dialect and prefix under which most of the names are parameters of BiT.
fn recognise(names: &[&str]) -> Option<(Dialect, String)> {
    let mut candidates = BTreeSet::new();
    for (order, &dialect) in Dialect::ALL.iter().enumerate() {
        for name in names {
            let name = plain(dialect, name);
            if let Some(prefix) = name.strip_suffix(Slot::stem(dialect))
                && (prefix.is_empty() || prefix.ends_with(dialect.separator()))
            {
                candidates.insert((order, prefix.to_owned()));
            }
        }
    }
    // Few files have more than one; the cap keeps a hostile one from costing candidates times names.
    let ranked = candidates.into_iter().take(8).map(|(order, prefix)| {
        let dialect = Dialect::ALL[order];
        let matched = names
            .iter()
            .filter(|name| parse(dialect, &prefix, name).is_some())
            .count();
        (
            (matched, prefix.contains("ema.")),
            std::cmp::Reverse(order),
            dialect,
            prefix,
        )
    });
    let best = ranked.max_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    best.map(|(_, _, dialect, prefix)| (dialect, prefix))
}
