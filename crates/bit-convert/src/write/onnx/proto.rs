//! As much of protocol buffers' wire format as writing ONNX needs.

const VARINT: u64 = 0;
const LENGTH_DELIMITED: u64 = 2;
const FIXED32: u64 = 5;

/// The fields of a message, encoded.
#[derive(Debug, Default, Clone)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// An integer; negative ones as their two's complement.
    pub(super) fn int(&mut self, field: u64, value: u64) -> &mut Self {
        varint(&mut self.0, field << 3 | VARINT);
        varint(&mut self.0, value);
        self
    }

    pub(super) fn float(&mut self, field: u64, value: f32) -> &mut Self {
        varint(&mut self.0, field << 3 | FIXED32);
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(super) fn bytes(&mut self, field: u64, bytes: &[u8]) -> &mut Self {
        self.0
            .extend_from_slice(&length_prefix(field, bytes.len() as u64));
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn text(&mut self, field: u64, text: &str) -> &mut Self {
        self.bytes(field, text.as_bytes())
    }

    pub(super) fn message(&mut self, field: u64, message: &Self) -> &mut Self {
        self.bytes(field, &message.0)
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// What stands before the bytes of a string, of bytes or of a message.
pub(super) fn length_prefix(field: u64, len: u64) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, field << 3 | LENGTH_DELIMITED);
    varint(&mut out, len);
    out
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_encoded_as_the_specification_shows() {
        let mut inner = Message::default();
        inner.int(1, 150);
        let mut outer = Message::default();
        outer.message(3, &inner).text(2, "testing");
        assert_eq!(outer.into_bytes(), *b"\x1a\x03\x08\x96\x01\x12\x07testing");
    }

    #[test]
    fn negative_integers_take_ten_bytes() {
        let mut message = Message::default();
        message.int(1, -1i64 as u64);
        assert_eq!(message.into_bytes().len(), 11);
    }
}
