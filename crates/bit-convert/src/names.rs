//! One table of what every dialect calls the parameters of BiT, read in both directions.

use std::fmt;

/// The families of names in public BiT checkpoints. A file's format does not tell: big_transfer's torch names and
/// timm's may both come in a `.pth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// transformers: `bit.encoder.stages.0.layers.0.conv1.weight`.
    Transformers,
    /// timm: `stages.0.blocks.0.conv1.weight`.
    Timm,
    /// google-research/big_transfer's PyTorch code: `body.block1.unit01.conv1.weight`.
    GoogleTorch,
    /// Google's published npz files: `resnet/block1/unit01/a/standardized_conv2d/kernel`.
    GoogleNpz,
    /// big_transfer's and big_vision's JAX trees: `block1/unit01/conv1/kernel`.
    Jax,
    /// The ResNet inside vision_transformer's hybrids: `block1/unit1/conv1/kernel`, with norms behind the convolutions.
    VitNpz,
}

impl Dialect {
    pub(crate) const ALL: [Self; 6] = [
        Self::Transformers,
        Self::Timm,
        Self::GoogleTorch,
        Self::GoogleNpz,
        Self::Jax,
        Self::VitNpz,
    ];

    /// Whether kernels are stored as `[height, width, in, out]` instead of `[out, in, height, width]`.
    pub(crate) fn is_hwio(self) -> bool {
        matches!(self, Self::GoogleNpz | Self::Jax | Self::VitNpz)
    }

    /// What separates the parts of a name.
    pub(crate) fn separator(self) -> char {
        if self.is_hwio() { '/' } else { '.' }
    }

    fn pattern(self, row: &Row) -> &'static str {
        row.names[Self::ALL
            .iter()
            .position(|&d| d == self)
            .expect("invariant: ALL has every dialect")]
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transformers => "transformers",
            Self::Timm => "timm",
            Self::GoogleTorch => "big_transfer (PyTorch)",
            Self::GoogleNpz => "big_transfer (npz)",
            Self::Jax => "big_transfer (JAX)",
            Self::VitNpz => "vision_transformer hybrid (npz)",
        })
    }
}

/// Part of the network, in the order of the forward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Part {
    Stem,
    Block,
    FinalNorm,
    Head,
}

struct Row {
    part: Part,
    /// One pattern a dialect, in the order of [`Dialect::ALL`]; empty where the dialect has no such parameter.
    ///
    /// `{i}` is a stage counted from 0, `{I}` from 1; `{j}` a block from 0, `{J}` from 1, `{JJ}` from 1 in two
    /// digits; `{k}` 1 to 3, `{a}` a to c; `{p}` weight or bias, `{g}` gamma or beta, `{s}` scale or bias, `{w}`
    /// kernel or bias.
    names: [&'static str; 6],
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row { part: Part::Stem, names: [
        "embedder.convolution.weight", "stem.conv.weight", "root.conv.weight",
        "root_block/standardized_conv2d/kernel", "root_block/conv_root/kernel", "conv_root/kernel",
    ] },
    Row { part: Part::Stem, names: ["embedder.norm.{p}", "stem.norm.{p}", "", "", "", "gn_root/{s}"] },
    Row { part: Part::Block, names: [
        "encoder.stages.{i}.layers.{j}.downsample.conv.weight", "stages.{i}.blocks.{j}.downsample.conv.weight",
        "body.block{I}.unit{JJ}.downsample.weight", "block{I}/unit{JJ}/a/proj/standardized_conv2d/kernel",
        "block{I}/unit{JJ}/conv_proj/kernel", "block{I}/unit{J}/conv_proj/kernel",
    ] },
    Row { part: Part::Block, names: [
        "encoder.stages.{i}.layers.{j}.downsample.norm.{p}", "stages.{i}.blocks.{j}.downsample.norm.{p}",
        "", "", "", "block{I}/unit{J}/gn_proj/{s}",
    ] },
    Row { part: Part::Block, names: [
        "encoder.stages.{i}.layers.{j}.norm{k}.{p}", "stages.{i}.blocks.{j}.norm{k}.{p}",
        "body.block{I}.unit{JJ}.gn{k}.{p}", "block{I}/unit{JJ}/{a}/group_norm/{g}",
        "block{I}/unit{JJ}/gn{k}/{s}", "block{I}/unit{J}/gn{k}/{s}",
    ] },
    Row { part: Part::Block, names: [
        "encoder.stages.{i}.layers.{j}.conv{k}.weight", "stages.{i}.blocks.{j}.conv{k}.weight",
        "body.block{I}.unit{JJ}.conv{k}.weight", "block{I}/unit{JJ}/{a}/standardized_conv2d/kernel",
        "block{I}/unit{JJ}/conv{k}/kernel", "block{I}/unit{J}/conv{k}/kernel",
    ] },
    Row { part: Part::FinalNorm, names: [
        "norm.{p}", "norm.{p}", "head.gn.{p}", "group_norm/{g}", "norm-pre-head/{s}", "",
    ] },
    Row { part: Part::Head, names: [
        "classifier.1.{p}", "head.fc.{p}", "head.conv.{p}", "head/conv2d/{w}", "conv_head/{w}", "",
    ] },
    // The same parameter where the head is a dense layer. Writing takes the first row.
    Row { part: Part::Head, names: ["classifier.1.{p}", "", "", "", "head/{w}", ""] },
];

/// Which parameter of the network: a row of the table and what its placeholders stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Slot {
    pub(crate) part: Part,
    /// Stage and block, counted from 0.
    pub(crate) stage: usize,
    pub(crate) block: usize,
    row: usize,
    /// Convolution or norm of the block, counted from 0.
    index: usize,
    pub(crate) is_bias: bool,
}

impl Slot {
    /// The parameter that `dialect` calls `name` (without any prefix).
    pub(crate) fn parse(dialect: Dialect, name: &str) -> Option<Self> {
        let found = ROWS.iter().enumerate().find_map(|(row, r)| {
            let slot = Slot {
                part: r.part,
                stage: 0,
                block: 0,
                row,
                index: 0,
                is_bias: false,
            };
            match_pattern(dialect.pattern(r), name, slot)
        });
        found.map(Self::canonical)
    }

    /// The name in a dialect, or `None` when it has no such parameter.
    pub(crate) fn name(self, dialect: Dialect) -> Option<String> {
        let pattern = dialect.pattern(&ROWS[self.row]);
        (!pattern.is_empty()).then(|| self.fill(pattern))
    }

    /// What the stem's convolution is called: the mark by which dialects and prefixes are recognised.
    pub(crate) fn stem(dialect: Dialect) -> &'static str {
        dialect.pattern(&ROWS[0])
    }

    /// The first row with the same transformers name, so that equal parameters are equal slots.
    fn canonical(mut self) -> Self {
        let name = ROWS[self.row].names[0];
        self.row = ROWS
            .iter()
            .position(|row| row.names[0] == name)
            .unwrap_or(self.row);
        self
    }

    fn fill(self, pattern: &str) -> String {
        let mut out = String::new();
        for (literal, key) in pieces(pattern) {
            out.push_str(literal);
            match key {
                "" => {}
                "i" => out.push_str(&self.stage.to_string()),
                "I" => out.push_str(&(self.stage + 1).to_string()),
                "j" => out.push_str(&self.block.to_string()),
                "J" => out.push_str(&(self.block + 1).to_string()),
                "JJ" => out.push_str(&format!("{:02}", self.block + 1)),
                "k" => out.push_str(&(self.index + 1).to_string()),
                "a" => out.push_str(LETTERS[self.index]),
                kind => out.push_str(words(kind)[usize::from(self.is_bias)]),
            }
        }
        out
    }
}

const LETTERS: [&str; 3] = ["a", "b", "c"];

/// What a placeholder for weight and bias stands for.
fn words(placeholder: &str) -> [&'static str; 2] {
    match placeholder {
        "g" => ["gamma", "beta"],
        "s" => ["scale", "bias"],
        "w" => ["kernel", "bias"],
        _ => ["weight", "bias"],
    }
}

/// A pattern as pairs of literal text and the placeholder behind it.
fn pieces(pattern: &str) -> impl Iterator<Item = (&str, &str)> {
    pattern
        .split('}')
        .map(|piece| piece.split_once('{').unwrap_or((piece, "")))
}

fn match_pattern(pattern: &str, name: &str, mut slot: Slot) -> Option<Slot> {
    if pattern.is_empty() {
        return None;
    }
    let mut rest = name;
    for (literal, key) in pieces(pattern) {
        rest = rest.strip_prefix(literal)?;
        let (value, tail) = match key {
            "" => continue,
            "i" | "I" | "j" | "J" | "JJ" => {
                rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()))
            }
            "k" | "a" => rest.split_at_checked(1)?,
            _ => (rest, ""),
        };
        rest = tail;
        match key {
            "i" => slot.stage = value.parse().ok()?,
            "I" => slot.stage = value.parse::<usize>().ok()?.checked_sub(1)?,
            "j" => slot.block = value.parse().ok()?,
            "J" | "JJ" => slot.block = value.parse::<usize>().ok()?.checked_sub(1)?,
            "k" => slot.index = ["1", "2", "3"].iter().position(|&k| k == value)?,
            "a" => slot.index = LETTERS.iter().position(|&a| a == value)?,
            kind => slot.is_bias = words(kind).iter().position(|&word| word == value)? == 1,
        }
    }
    rest.is_empty().then_some(slot)
}

/// A stored name without what carries no meaning: a leading slash, and the counters that TensorFlow appends to
/// equal variable scopes (`standardized_conv2d_17`).
pub(crate) fn without_counters(name: &str) -> String {
    let strip = |part: &str| match part.rsplit_once('_') {
        Some((stem, digits)) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            stem.to_owned()
        }
        _ => part.to_owned(),
    };
    name.trim_start_matches('/')
        .split('/')
        .map(strip)
        .collect::<Vec<_>>()
        .join("/")
}

/// A stored name without the variant that Burn's own stores put behind `layers.3.` because a layer is an enum in
/// `bit-model`: `layers.3.Preactivation.conv1.weight`.
pub(crate) fn without_variant(name: &str) -> String {
    let found = [".Preactivation.", ".Bottleneck."]
        .into_iter()
        .find_map(|variant| name.split_once(variant));
    let is_layer = |path: &str| {
        path.rsplit_once('.').is_some_and(|(list, index)| {
            list.ends_with("layers") && index.bytes().all(|b| b.is_ascii_digit())
        })
    };
    match found {
        Some((layer, rest)) if is_layer(layer) => format!("{layer}.{rest}"),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bit_config::{BitConfig, LayerType};

    fn trunk_names(layer_type: LayerType) -> Vec<String> {
        let config = BitConfig {
            layer_type,
            ..BitConfig::default()
        };
        config
            .parameters()
            .into_iter()
            .map(|p| p.name.trim_start_matches("bit.").to_owned())
            .collect()
    }

    #[test]
    fn every_parameter_of_both_variants_has_a_slot_and_gets_its_name_back() {
        for layer_type in [LayerType::Preactivation, LayerType::Bottleneck] {
            for name in trunk_names(layer_type) {
                let slot = Slot::parse(Dialect::Transformers, &name).unwrap();
                assert_eq!(slot.name(Dialect::Transformers).unwrap(), name);
            }
        }
    }

    #[test]
    fn every_dialect_reads_back_what_it_writes() {
        for name in trunk_names(LayerType::Preactivation) {
            let slot = Slot::parse(Dialect::Transformers, &name).unwrap();
            for dialect in [
                Dialect::Timm,
                Dialect::GoogleTorch,
                Dialect::GoogleNpz,
                Dialect::Jax,
            ] {
                let there = slot.name(dialect).unwrap();
                assert_eq!(Slot::parse(dialect, &there), Some(slot), "{there}");
            }
        }
    }

    #[test]
    fn names_are_those_of_the_published_files() {
        let name = |name: &str, dialect| {
            Slot::parse(Dialect::Transformers, name)
                .unwrap()
                .name(dialect)
                .unwrap()
        };
        let conv = "encoder.stages.2.layers.10.conv3.weight";
        assert_eq!(
            name(conv, Dialect::GoogleNpz),
            "block3/unit11/c/standardized_conv2d/kernel"
        );
        assert_eq!(
            name(conv, Dialect::GoogleTorch),
            "body.block3.unit11.conv3.weight"
        );
        assert_eq!(name("norm.bias", Dialect::GoogleTorch), "head.gn.bias");
        assert_eq!(name("norm.bias", Dialect::GoogleNpz), "group_norm/beta");
        let projection = "encoder.stages.0.layers.0.downsample.conv.weight";
        assert_eq!(
            name(projection, Dialect::GoogleNpz),
            "block1/unit01/a/proj/standardized_conv2d/kernel"
        );
        assert_eq!(name("classifier.1.weight", Dialect::Jax), "conv_head/kernel");
    }

    #[test]
    fn counters_in_names_mean_nothing() {
        let plain = "resnet/block1/unit01/a/standardized_conv2d/kernel";
        assert_eq!(
            without_counters("/resnet/block1/unit01/a/standardized_conv2d_17/kernel"),
            plain
        );
        assert_eq!(without_counters(plain), plain);
    }

    #[test]
    fn variants_of_layers_in_names_mean_nothing() {
        let plain = "bit.encoder.stages.1.layers.12.norm1.bias";
        for variant in ["Preactivation", "Bottleneck"] {
            let stored = format!("bit.encoder.stages.1.layers.12.{variant}.norm1.bias");
            assert_eq!(without_variant(&stored), plain);
        }
        for other in [plain, "head.Bottleneck.weight", "layers.x.Bottleneck.weight"] {
            assert_eq!(without_variant(other), other);
        }
    }

    #[test]
    fn other_names_match_nothing() {
        for name in [
            "",
            "norm",
            "encoder.stages.0.layers.x.conv1.weight",
            "encoder.stages.0.layers.0.conv4.weight",
            "norm.weightx",
        ] {
            assert_eq!(Slot::parse(Dialect::Transformers, name), None, "{name}");
        }
        assert_eq!(
            Slot::parse(Dialect::GoogleNpz, "block0/unit01/a/group_norm/gamma"),
            None
        );
    }
}
