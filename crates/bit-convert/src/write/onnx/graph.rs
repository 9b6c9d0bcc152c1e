//! An ONNX graph under construction: nodes that name their inputs, and small constants.

use super::proto::Message;
use crate::tensor::DType;

/// A node's attribute.
pub(super) enum Attribute<'a> {
    Int(i64),
    Ints(&'a [i64]),
    Float(f32),
    Text(&'a str),
}

/// `GraphProto` so far.
#[derive(Debug, Default)]
pub(super) struct Graph {
    proto: Message,
    values: usize,
}

impl Graph {
    /// Adds a node and returns the name of its output.
    pub(super) fn node(&mut self, op: &str, inputs: &[&str], attributes: &[(&str, Attribute<'_>)]) -> String {
        self.values += 1;
        let output = format!("{op}_{}", self.values);
        self.named_node(op, inputs, attributes, &output);
        output
    }

    /// Adds a node whose output has a name that users see.
    pub(super) fn named_node(
        &mut self,
        op: &str,
        inputs: &[&str],
        attributes: &[(&str, Attribute<'_>)],
        output: &str,
    ) {
        let mut node = Message::default();
        for input in inputs {
            node.text(1, input);
        }
        node.text(2, output)
            .text(3, &format!("{op}:{output}"))
            .text(4, op);
        for (name, attribute) in attributes {
            node.message(5, &encode(name, attribute));
        }
        self.proto.message(1, &node);
    }

    /// Adds a list of integers and returns its name.
    pub(super) fn ints(&mut self, values: &[i64]) -> String {
        let bytes: Vec<_> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(DType::I64, values.len(), &bytes)
    }

    /// Adds a vector of one value repeated and returns its name.
    pub(super) fn filled(&mut self, value: f32, len: usize) -> String {
        self.constant(DType::F32, len, &value.to_le_bytes().repeat(len))
    }

    /// Adds a single number and returns its name.
    pub(super) fn scalar(&mut self, value: f32) -> String {
        self.filled(value, 1)
    }

    fn constant(&mut self, dtype: DType, len: usize, bytes: &[u8]) -> String {
        self.values += 1;
        let name = format!("constant_{}", self.values);
        let mut tensor = Message::default();
        tensor
            .int(1, len as u64)
            .int(2, onnx_type(dtype))
            .text(8, &name)
            .bytes(9, bytes);
        self.initializer(&tensor);
        name
    }

    /// Adds a `TensorProto`.
    pub(super) fn initializer(&mut self, tensor: &Message) {
        self.proto.message(5, tensor);
    }

    /// Declares the graph's input; text axes are free.
    pub(super) fn input(&mut self, name: &str, axes: &[Axis<'_>]) {
        self.proto.message(11, &value_info(name, axes));
    }

    /// Declares an output.
    pub(super) fn output(&mut self, name: &str, axes: &[Axis<'_>]) {
        self.proto.message(12, &value_info(name, axes));
    }

    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        self.proto.text(2, "bit");
        self.proto.into_bytes()
    }
}

/// An axis of an input or output.
pub(super) enum Axis<'a> {
    Fixed(usize),
    Free(&'a str),
}

/// `ValueInfoProto` of an f32 tensor.
fn value_info(name: &str, axes: &[Axis<'_>]) -> Message {
    let mut shape = Message::default();
    for axis in axes {
        let mut dim = Message::default();
        match axis {
            Axis::Fixed(n) => dim.int(1, *n as u64),
            Axis::Free(name) => dim.text(2, name),
        };
        shape.message(1, &dim);
    }
    let mut tensor = Message::default();
    tensor.int(1, onnx_type(DType::F32)).message(2, &shape);
    let mut of = Message::default();
    of.message(1, &tensor);
    let mut value = Message::default();
    value.text(1, name).message(2, &of);
    value
}

/// `AttributeProto`.
fn encode(name: &str, attribute: &Attribute<'_>) -> Message {
    let mut proto = Message::default();
    proto.text(1, name);
    match attribute {
        Attribute::Float(value) => proto.float(2, *value).int(20, 1),
        Attribute::Int(value) => proto.int(3, *value as u64).int(20, 2),
        Attribute::Text(value) => proto.text(4, value).int(20, 3),
        Attribute::Ints(values) => {
            for value in *values {
                proto.int(8, *value as u64);
            }
            proto.int(20, 7)
        }
    };
    proto
}

/// `TensorProto.DataType`.
pub(super) fn onnx_type(dtype: DType) -> u64 {
    match dtype {
        DType::F32 => 1,
        DType::U8 => 2,
        DType::I8 => 3,
        DType::U16 => 4,
        DType::I16 => 5,
        DType::I32 => 6,
        DType::I64 => 7,
        DType::Bool => 9,
        DType::F16 => 10,
        DType::F64 => 11,
        DType::U32 => 12,
        DType::U64 => 13,
        DType::BF16 => 16,
    }
}
