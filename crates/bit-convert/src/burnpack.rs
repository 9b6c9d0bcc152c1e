//! The Burnpack container of Burn 0.22, as its `burn-pack` crate documents it: ten bytes of header, a CBOR table of
//! contents, and tensors at multiples of 256 bytes. Written out here because that crate brings in Burn's runtime.

use crate::distinct::Distinct;
use crate::tensor::DType;
use serde::{Deserialize, Serialize};

/// "BURN" as a little-endian number.
pub(crate) const MAGIC: [u8; 4] = *b"NRUB";
/// The only version there is.
pub(crate) const VERSION: u16 = 1;
/// Magic, version, and the length of the table.
pub(crate) const HEADER_LEN: u64 = 10;
/// Tensors and the data section start at multiples of this.
pub(crate) const ALIGNMENT: u64 = 256;

/// The table of contents.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) tensors: Distinct<Record>,
    #[serde(default, skip_serializing_if = "Distinct::is_empty")]
    pub(crate) metadata: Distinct<String>,
}

/// One tensor of the table.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) dtype: PackType,
    pub(crate) shape: Vec<u64>,
    /// Start and end, counted from the data section.
    pub(crate) data_offsets: (u64, u64),
}

/// Element types under Burn's names.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) enum PackType {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U64,
    U32,
    U16,
    U8,
}

const TYPES: &[(PackType, DType)] = &[
    (PackType::F64, DType::F64),
    (PackType::F32, DType::F32),
    (PackType::F16, DType::F16),
    (PackType::BF16, DType::BF16),
    (PackType::I64, DType::I64),
    (PackType::I32, DType::I32),
    (PackType::I16, DType::I16),
    (PackType::I8, DType::I8),
    (PackType::U64, DType::U64),
    (PackType::U32, DType::U32),
    (PackType::U16, DType::U16),
    (PackType::U8, DType::U8),
];

impl PackType {
    /// Burn's name of an element type, if it has one.
    pub(crate) fn of(dtype: DType) -> Option<Self> {
        TYPES
            .iter()
            .find(|&&(_, known)| known == dtype)
            .map(|&(pack, _)| pack)
    }

    /// The element type of that name.
    pub(crate) fn dtype(self) -> DType {
        let known = TYPES.iter().find(|&&(pack, _)| pack == self);
        known.expect("invariant: the table has every variant").1
    }
}
