//! The part of Python's pickle machine that files of tensors need, and nothing that could run anything.
//!
//! A pickle is a program for a stack machine. This one only builds data: a call is recorded, never made, and the
//! only globals it can name are those of [`GLOBALS`]. Values live in one arena and refer to each other by index, so
//! a dictionary that contains itself costs nothing and nothing here recurses.

mod input;
mod machine;

use self::machine::Machine;
use crate::error::Result;
use std::io::BufRead;
use std::path::Path;

/// Longest pickle accepted, in bytes. R152x4's state dict is 60 kB of pickle.
pub(crate) const MAX_PICKLE: u64 = 1 << 24;

/// Most values one pickle may build, and most that it may stack, mark or memorize. With [`MAX_PICKLE`] this keeps a
/// hostile pickle under 256 MiB of memory.
const MAX_VALUES: usize = 1 << 20;

/// The Python objects a state dict, or a training checkpoint around one, may refer to.
const GLOBALS: &[&str] = &[
    "argparse.Namespace",
    "collections.OrderedDict",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
    "torch.BFloat16Storage",
    "torch.BoolStorage",
    "torch.ByteStorage",
    "torch.CharStorage",
    "torch.DoubleStorage",
    "torch.FloatStorage",
    "torch.HalfStorage",
    "torch.IntStorage",
    "torch.LongStorage",
    "torch.ShortStorage",
    "torch.Size",
    "torch.device",
];

/// Most arguments of a call that are looked at.
const MAX_ARGS: usize = 8;

/// Position of a value in its [`Pickle`].
pub(crate) type Id = u32;

/// What a pickle can build here.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// `None`, and numbers that nothing here looks at.
    None,
    Bool(bool),
    Int(i64),
    /// An integer of more than 64 bits, as its little-endian bytes: the legacy format's magic number.
    Long(Vec<u8>),
    Str(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// One of [`GLOBALS`].
    Global(&'static str),
    /// `function(*args)`, recorded and not called.
    Call(&'static str, Id),
    /// An object kept outside of the pickle: a storage.
    Persistent(Id),
}

impl Value {
    /// What it is, for messages: its content may be megabytes.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::None => "nothing or a number",
            Self::Bool(_) => "a bool",
            Self::Int(_) | Self::Long(_) => "an integer",
            Self::Str(_) => "a string",
            Self::Tuple(_) => "a tuple",
            Self::List(_) => "a list",
            Self::Dict(_) => "a dictionary",
            Self::Global(_) => "a class or function",
            Self::Call(..) => "a call",
            Self::Persistent(_) => "a storage",
        }
    }
}

/// A parsed pickle.
#[derive(Debug)]
pub(crate) struct Pickle {
    values: Vec<Value>,
    root: Id,
}

impl Pickle {
    /// Runs one pickle, leaving `reader` behind its end.
    pub(crate) fn read(reader: &mut impl BufRead, path: &Path) -> Result<Self> {
        Machine::new(reader, path).run()
    }

    pub(crate) fn root(&self) -> Id {
        self.root
    }

    pub(crate) fn get(&self, id: Id) -> &Value {
        // Every id in circulation was returned by `Machine::add`.
        &self.values[id as usize]
    }

    /// All values, whether anything refers to them or not.
    pub(crate) fn values(&self) -> &[Value] {
        &self.values
    }

    /// The values of a tuple or list.
    pub(crate) fn items(&self, id: Id) -> impl ExactSizeIterator<Item = &Value> {
        let items: &[Id] = match self.get(id) {
            Value::Tuple(items) | Value::List(items) => items,
            _ => &[],
        };
        items.iter().map(|&id| self.get(id))
    }

    /// The first values of a tuple or list: many calls may share a huge one.
    pub(crate) fn args(&self, id: Id) -> Vec<&Value> {
        self.items(id).take(MAX_ARGS).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(bytes: &[u8]) -> Result<Pickle> {
        Pickle::read(&mut &bytes[..], Path::new("m.bin"))
    }

    fn message(bytes: &[u8]) -> String {
        read(bytes).unwrap_err().to_string()
    }

    #[test]
    fn the_usual_values_are_read() {
        let pickle =
            read(b"\x80\x02}q\x00(X\x01\x00\x00\x00aJ\xfe\xff\xff\xffX\x01\x00\x00\x00bM\x01\x02u.").unwrap();
        let Value::Dict(pairs) = pickle.get(pickle.root()) else {
            panic!("not a dict")
        };
        assert_eq!(pickle.get(pairs[0].0), &Value::Str("a".into()));
        assert_eq!(pickle.get(pairs[0].1), &Value::Int(-2));
        assert_eq!(pickle.get(pairs[1].1), &Value::Int(0x201));
    }

    #[test]
    fn a_pickle_that_runs_a_command_is_refused_by_the_name_of_the_command() {
        let attack = b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85R.";
        assert!(message(attack).contains("Python global `posix.system`"));
        let stack_global = b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.";
        assert!(message(stack_global).contains("Python global `builtins.eval`"));
    }

    #[test]
    fn a_command_hidden_under_an_unused_value_is_refused() {
        assert!(message(b"\x80\x02cos\nsystem\n0N.").contains("`os.system`"));
    }

    #[test]
    fn opcodes_that_make_objects_are_refused() {
        for opcode in [0x92, b'i', b'o', 0x82, b'P'] {
            assert!(
                message(&[0x80, 2, b'N', b'N', opcode, b'.']).contains(&format!("opcode 0x{opcode:02x}"))
            );
        }
    }

    #[test]
    fn training_options_are_an_empty_record_and_no_other_object_is_made() {
        let options = b"\x80\x02cargparse\nNamespace\n)\x81}X\x02\x00\x00\x00lrK\x01sb.";
        let pickle = read(options).unwrap();
        assert_eq!(pickle.get(pickle.root()), &Value::Dict(vec![]));
        for class in [&b"N"[..], b"ctorch\nSize\n", b"ccollections\nOrderedDict\n"] {
            let program = [b"\x80\x02", class, b")\x81."].concat();
            assert!(
                message(&program).contains("makes an object of a class"),
                "{class:?}"
            );
        }
        assert!(message(b"\x80\x02cos\nsystem\n)\x81.").contains("`os.system`"));
    }

    #[test]
    fn an_ordered_dict_is_filled_as_python_2_and_as_python_3_do_it() {
        let filled: [&[u8]; 3] = [
            b"\x80\x02ccollections\nOrderedDict\n]](U\x01aK\x05ea\x85R.",
            b"\x80\x02ccollections\nOrderedDict\n(U\x01aK\x05tq\x000]h\x00a\x85R.",
            b"\x80\x02ccollections\nOrderedDict\n)RU\x01aK\x05s.",
        ];
        for program in filled {
            let pickle = read(program).unwrap();
            let Value::Dict(pairs) = pickle.get(pickle.root()) else {
                panic!("not a dict")
            };
            assert_eq!(pairs.len(), 1, "{program:?}");
            assert_eq!(pickle.get(pairs[0].0), &Value::Str("a".into()));
            assert_eq!(pickle.get(pairs[0].1), &Value::Int(5));
        }
        for arguments in [
            &b"N\x85"[..],
            b"N",
            b"]]\x86",
            b"]Na\x85",
            b"](NNNta\x85",
            b"}\x85",
        ] {
            let program = [b"\x80\x02ccollections\nOrderedDict\n", arguments, b"R."].concat();
            let message = message(&program);
            assert!(
                message.contains("not one list of pairs"),
                "{arguments:?}: {message}"
            );
        }
    }

    #[test]
    fn many_ordered_dicts_of_one_long_list_are_stopped() {
        let list = [&b"(NNtq\x000]("[..], &b"h\x00".repeat(1 << 16), b"eq\x010"].concat();
        let calls = b"ccollections\nOrderedDict\nh\x01\x85R0".repeat(1 + (MAX_VALUES >> 16));
        let program = [b"\x80\x02", &list[..], &calls, b"N."].concat();
        assert!(message(&program).contains("builds more than"));
    }

    #[test]
    fn a_dictionary_that_contains_itself_is_read_without_recursion() {
        let pickle = read(b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.").unwrap();
        let Value::Dict(pairs) = pickle.get(pickle.root()) else {
            panic!("not a dict")
        };
        assert_eq!(pairs[0].1, pickle.root());
    }

    #[test]
    fn broken_programs_are_errors() {
        for program in [
            &b"."[..],
            b"t.",
            b"(0.",
            b"h\x07.",
            b"Na.",
            b"K",
            b"X\xff\xff\xff\x00a",
            b")R.",
            b"Nq",
            b"NNb.",
        ] {
            assert!(read(program).is_err(), "{program:?}");
        }
    }

    #[test]
    fn a_message_says_what_a_value_is_and_does_not_print_it() {
        let tuple = [b"(", &b"N".repeat(1 << 16)[..], b"tN\x93"].concat();
        assert!(message(&tuple).ends_with("expected a string, found nothing or a number"));
        let tuple = [b"N(", &b"N".repeat(1 << 16)[..], b"t\x93"].concat();
        assert!(message(&tuple).ends_with("expected a string, found a tuple"));
    }

    #[test]
    fn a_pickle_that_builds_too_much_is_stopped() {
        for opcodes in [&b"N"[..], b"(", b"\x94"] {
            let program = [b"N", &opcodes.repeat(MAX_VALUES + 1)[..]].concat();
            assert!(message(&program).contains("builds more than"), "{opcodes:?}");
        }
        let recalled = [b"Nq\x00", &b"h\x00".repeat(MAX_VALUES)[..]].concat();
        assert!(message(&recalled).contains("builds more than"));
        assert!(message(b"X\xff\xff\xff\xff").contains("longer than"));
    }
}
