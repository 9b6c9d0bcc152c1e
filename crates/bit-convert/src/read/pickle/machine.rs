//! The stack machine that a pickle is a program for.

use super::input::Input;
use super::{GLOBALS, Id, MAX_VALUES, Pickle, Value};
use crate::error::{ConvertError, Result};
use std::collections::HashMap;
use std::io::BufRead;
use std::path::Path;

pub(super) struct Machine<'a, R> {
    input: Input<'a, R>,
    values: Vec<Value>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// Pairs that calls of `OrderedDict` copied.
    paired: usize,
}

impl<'a, R: BufRead> Machine<'a, R> {
    pub(super) fn new(reader: &'a mut R, path: &'a Path) -> Self {
        let input = Input {
            reader,
            position: 0,
            path,
        };
        Self {
            input,
            values: vec![],
            stack: vec![],
            marks: vec![],
            memo: HashMap::new(),
            paired: 0,
        }
    }

    pub(super) fn run(mut self) -> Result<Pickle> {
        loop {
            let [opcode] = self.input.array()?;
            if opcode == b'.' {
                let root = self.pop()?;
                return Ok(Pickle {
                    values: self.values,
                    root,
                });
            }
            self.step(opcode)?;
        }
    }

    #[rustfmt::skip] // one opcode a line reads as the table it is
    fn step(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            0x80 => { self.input.array::<1>()?; }                                    // PROTO
            0x95 => { self.input.array::<8>()?; }                                    // FRAME
            b'(' => { self.check_room(self.marks.len())?; self.marks.push(self.stack.len()) }
            b'0' => { self.pop()?; }
            b'N' => self.push(Value::None)?,
            0x88 => self.push(Value::Bool(true))?,
            0x89 => self.push(Value::Bool(false))?,
            b'K' => { let n = self.input.array::<1>()?; self.push_int(&n)? }
            b'M' => { let n = self.input.array::<2>()?; self.push_int(&n)? }
            b'J' => { let n = i32::from_le_bytes(self.input.array()?); self.push(Value::Int(n.into()))? }
            b'G' => { self.input.array::<8>()?; self.push(Value::None)? }            // BINFLOAT
            0x8a => { let [n] = self.input.array()?; self.push_long(n)? }
            b'X' => { let n = u32::from_le_bytes(self.input.array()?); self.push_text(n.into())? }
            0x8c => { let [n] = self.input.array()?; self.push_text(n.into())? }
            b'T' => { let n = u32::from_le_bytes(self.input.array()?); self.push_text(n.into())? }
            b'U' => { let [n] = self.input.array()?; self.push_text(n.into())? }
            b')' => self.push(Value::Tuple(vec![]))?,
            b']' => self.push(Value::List(vec![]))?,
            b'}' => self.push(Value::Dict(vec![]))?,
            b't' => { let items = self.pop_to_mark()?; self.push(Value::Tuple(items))? }
            b'l' => { let items = self.pop_to_mark()?; self.push(Value::List(items))? }
            b'd' => { let items = self.pop_to_mark()?; self.push(Value::Dict(vec![]))?; self.extend(items)? }
            0x85..=0x87 => { let n = usize::from(opcode - 0x84); self.tuple(n)? }
            b'a' => { let item = self.pop()?; self.extend(vec![item])? }
            b's' => { let value = self.pop()?; let key = self.pop()?; self.extend(vec![key, value])? }
            b'e' | b'u' => { let items = self.pop_to_mark()?; self.extend(items)? }
            b'q' => { let [slot] = self.input.array()?; self.memoize(slot.into())? }
            b'r' => { let slot = u32::from_le_bytes(self.input.array()?); self.memoize(slot)? }
            0x94 => { let slot = self.memo.len() as u32; self.memoize(slot)? }
            b'h' => { let [slot] = self.input.array()?; self.recall(slot.into())? }
            b'j' => { let slot = u32::from_le_bytes(self.input.array()?); self.recall(slot)? }
            b'c' => { let module = self.input.line()?; let name = self.input.line()?; self.global(&module, &name)? }
            0x93 => { let name = self.pop_text()?; let module = self.pop_text()?; self.global(&module, &name)? }
            b'Q' => { let id = self.pop()?; self.push(Value::Persistent(id))? }
            b'R' => self.reduce()?,
            0x81 => self.new_object()?,
            b'b' => self.build()?,
            _ => return Err(self.input.fail(format!("opcode 0x{opcode:02x} is not one that a state dict needs"))),
        }
        Ok(())
    }

    /// Bounds everything that grows by one with an opcode.
    fn check_room(&self, len: usize) -> Result<()> {
        match len < MAX_VALUES {
            true => Ok(()),
            false => Err(self.input.fail(format!("builds more than {MAX_VALUES} values"))),
        }
    }

    fn push(&mut self, value: Value) -> Result<()> {
        self.check_room(self.values.len())?;
        self.values.push(value);
        self.push_again((self.values.len() - 1) as Id)
    }

    fn push_again(&mut self, id: Id) -> Result<()> {
        self.check_room(self.stack.len())?;
        self.stack.push(id);
        Ok(())
    }

    fn push_int(&mut self, little_endian: &[u8]) -> Result<()> {
        let n = little_endian
            .iter()
            .rev()
            .fold(0, |n, &byte| n << 8 | i64::from(byte));
        self.push(Value::Int(n))
    }

    fn push_long(&mut self, len: u8) -> Result<()> {
        let bytes = self.input.bytes(len.into())?;
        if bytes.len() > 8 {
            return self.push(Value::Long(bytes));
        }
        let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        wide[..bytes.len()].copy_from_slice(&bytes);
        self.push(Value::Int(i64::from_le_bytes(wide)))
    }

    fn push_text(&mut self, len: u64) -> Result<()> {
        let bytes = self.input.bytes(len)?;
        let text = self.input.text(bytes)?;
        self.push(Value::Str(text))
    }

    /// The lowest stack height that may be popped: values under a mark belong to what encloses it.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Id> {
        let floor = self.floor();
        let top = if self.stack.len() > floor {
            self.stack.pop()
        } else {
            None
        };
        top.ok_or_else(|| self.input.fail("takes a value from an empty stack"))
    }

    fn top(&self) -> Result<Id> {
        let top = self.stack.last().filter(|_| self.stack.len() > self.floor());
        top.copied()
            .ok_or_else(|| self.input.fail("looks at the top of an empty stack"))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>> {
        let Some(mark) = self.marks.pop() else {
            return Err(self.input.fail("closes a group that was never opened"));
        };
        Ok(self.stack.split_off(mark))
    }

    fn pop_text(&mut self) -> Result<String> {
        let id = self.pop()?;
        match &self.values[id as usize] {
            Value::Str(text) => Ok(text.clone()),
            other => Err(self
                .input
                .fail(format!("expected a string, found {}", other.kind()))),
        }
    }

    fn tuple(&mut self, len: usize) -> Result<()> {
        let mut items = (0..len).map(|_| self.pop()).collect::<Result<Vec<_>>>()?;
        items.reverse();
        self.push(Value::Tuple(items))
    }

    /// Adds items to the list, or pairs to the dictionary, on top of the stack.
    fn extend(&mut self, items: Vec<Id>) -> Result<()> {
        let top = self.top()?;
        match &mut self.values[top as usize] {
            Value::List(list) => list.extend(items),
            Value::Dict(dict) if items.len().is_multiple_of(2) => {
                dict.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1])));
            }
            _ => {
                return Err(self
                    .input
                    .fail("adds items to something that is neither list nor dictionary"));
            }
        }
        Ok(())
    }

    fn memoize(&mut self, slot: u32) -> Result<()> {
        let top = self.top()?;
        self.check_room(self.memo.len())?;
        self.memo.insert(slot, top);
        Ok(())
    }

    fn recall(&mut self, slot: u32) -> Result<()> {
        let Some(&id) = self.memo.get(&slot) else {
            return Err(self
                .input
                .fail(format!("recalls value {slot}, which was never stored")));
        };
        self.push_again(id)
    }

    fn global(&mut self, module: &str, name: &str) -> Result<()> {
        let dotted = format!("{module}.{name}");
        match GLOBALS.iter().find(|&&known| known == dotted) {
            Some(known) => self.push(Value::Global(known)),
            None => Err(ConvertError::ForbiddenGlobal {
                path: self.input.path.to_path_buf(),
                global: dotted,
            }),
        }
    }

    fn reduce(&mut self) -> Result<()> {
        let args = self.pop()?;
        let function = self.pop()?;
        match self.values[function as usize] {
            Value::Global("collections.OrderedDict") => {
                let pairs = self.pairs(args)?;
                self.push(Value::Dict(pairs))
            }
            Value::Global(name) => self.push(Value::Call(name, args)),
            _ => Err(self.input.fail("calls something that is not a function")),
        }
    }

    /// `NEWOBJ` makes an object without arguments. Of the training options that timm keeps beside its weights nothing is
    /// looked at: `BUILD` will drop their attributes.
    fn new_object(&mut self) -> Result<()> {
        self.pop()?;
        let class = self.pop()?;
        match self.values[class as usize] {
            Value::Global("argparse.Namespace") => self.push(Value::Dict(vec![])),
            _ => Err(self
                .input
                .fail("makes an object of a class that a state dict does not need")),
        }
    }

    /// The content of `OrderedDict(*args)`: Python 3 gives nothing and fills it by SETITEMS, Python 2.7 gives a list of
    /// pairs.
    fn pairs(&mut self, args: Id) -> Result<Vec<(Id, Id)>> {
        let unusual = || {
            self.input
                .fail("makes an OrderedDict of something that is not one list of pairs")
        };
        let items = match &self.values[args as usize] {
            Value::Tuple(args) => match args[..] {
                [] => return Ok(vec![]),
                [list] => match &self.values[list as usize] {
                    Value::List(items) => items,
                    _ => return Err(unusual()),
                },
                _ => return Err(unusual()),
            },
            _ => return Err(unusual()),
        };
        // Many calls may share one huge list.
        self.paired += items.len();
        self.check_room(self.paired.saturating_sub(1))?;
        let pair = |&item: &Id| match &self.values[item as usize] {
            Value::List(pair) | Value::Tuple(pair) if pair.len() == 2 => Some((pair[0], pair[1])),
            _ => None,
        };
        items.iter().map(pair).collect::<Option<_>>().ok_or_else(unusual)
    }

    /// `BUILD` sets attributes, and the only ones in a state dict are its `_metadata` of version numbers.
    fn build(&mut self) -> Result<()> {
        self.pop()?;
        let top = self.top()?;
        match self.values[top as usize] {
            Value::Dict(_) => Ok(()),
            _ => Err(self
                .input
                .fail("sets attributes of something that is not a dictionary")),
        }
    }
}
