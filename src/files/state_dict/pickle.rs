//! A pickle reader that executes nothing: it knows tensors, storages and plain data, and refuses every other global by name.
//!
//! Opcodes as in CPython's `pickletools`; protocol 2 (what PyTorch writes) and the few of 4 that newer writers use. Values live in
//! an arena and refer to each other by number, so that cycles and shared parts cost nothing and are never walked to the end; texts are
//! parts of the file, never copies, so that one that is used a thousand times takes no more than one. Memory and time are linear in the file.

use super::storage::AXES;
use crate::error::one_line;
use std::collections::HashMap;

/// A value by its place in the arena.
pub(super) type Id = usize;

/// The globals that a state dict needs; calling them builds plain data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Global<'a> {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    /// `torch.FloatStorage` and so on: the name after `torch.`.
    Storage(&'a str),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    None,
    Bool(bool),
    Int(i128),
    Float,
    Text(&'a str),
    Bytes,
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global<'a>),
    /// What `persistent_load` would be given.
    Persistent(Id),
    /// The arguments of `torch._utils._rebuild_tensor_v2`.
    Tensor(Vec<Id>),
}

/// A pickle that was read to its STOP.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    values: Vec<Value<'a>>,
    pub(super) root: Id,
}

impl<'a> Pickle<'a> {
    pub(super) fn get(&self, id: Id) -> &Value<'a> {
        &self.values[id]
    }

    pub(super) fn text(&self, id: Id) -> Option<&'a str> {
        match self.get(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A size, offset or stride.
    pub(super) fn size(&self, id: Id) -> Option<usize> {
        match self.get(id) {
            Value::Int(value) => usize::try_from(*value).ok(),
            _ => None,
        }
    }

    /// A tuple of sizes, one an axis.
    pub(super) fn sizes(&self, id: Id) -> Option<Vec<usize>> {
        match self.get(id) {
            Value::Tuple(items) if items.len() <= AXES => items.iter().map(|&item| self.size(item)).collect(),
            _ => None,
        }
    }
}

/// Reads one pickle from the front of `bytes` and moves them past it.
pub(super) fn read<'a>(bytes: &mut &'a [u8]) -> Result<Pickle<'a>, String> {
    let length = bytes.len();
    let mut machine = Machine { bytes, values: Vec::new(), stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() };
    match machine.run() {
        Ok(root) => {
            *bytes = machine.bytes;
            Ok(Pickle { values: machine.values, root })
        }
        Err(problem) => Err(format!("pickle, near byte {}: {problem}", length - machine.bytes.len())),
    }
}

/// More values than the pickle of any network has (a tensor takes about 20), few enough to be kept.
const MOST: usize = 4_000_000;
const TRUNCATED: &str = "truncated";
const UNDERFLOW: &str = "damaged (the stack is empty)";

struct Machine<'a> {
    bytes: &'a [u8],
    values: Vec<Value<'a>>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    fn run(&mut self) -> Result<Id, String> {
        loop {
            let opcode = self.take(1)?[0];
            if opcode == b'.' {
                return self.pop();
            }
            self.step(opcode)?;
            if self.values.len().max(self.stack.len()) > MOST {
                return Err(format!("more than {MOST} values: not the weights of a network"));
            }
        }
    }

    fn step(&mut self, opcode: u8) -> Result<(), String> {
        match opcode {
            0x80 => self.protocol(),
            0x95 => self.take(8).map(drop),
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'J' | b'K' | b'M' | 0x8a => self.integer(opcode),
            b'G' => self.take(8).map(drop).and_then(|()| self.push(Value::Float)),
            b'X' | 0x8c | 0x8d | b'T' | b'U' | b'B' | b'C' => self.string(opcode),
            b')' => self.push(Value::Tuple(Vec::new())),
            0x85..=0x87 => self.short_tuple(usize::from(opcode - 0x84)),
            b't' => self.pop_mark().and_then(|items| self.push(Value::Tuple(items))),
            b']' => self.push(Value::List(Vec::new())),
            b'l' => self.pop_mark().and_then(|items| self.push(Value::List(items))),
            b'a' | b'e' => self.append(opcode == b'e'),
            b'}' => self.push(Value::Dict(Vec::new())),
            b's' | b'u' => self.set_items(opcode == b'u'),
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'0' => self.pop().map(drop),
            b'1' => self.pop_mark().map(drop),
            b'2' => self.top().map(|id| self.stack.push(id)),
            b'q' | b'r' | 0x94 => self.memorise(opcode),
            b'h' | b'j' => self.recall(opcode),
            b'c' | 0x93 => self.global(opcode),
            b'Q' => self.pop().and_then(|id| self.push(Value::Persistent(id))),
            b'R' => self.reduce(),
            b'b' => self.build(),
            _ => Err(format!("opcode {opcode:#04x} builds something other than tensors in dictionaries: save model.state_dict()")),
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (head, rest) = self.bytes.split_at_checked(count).ok_or(TRUNCATED)?;
        self.bytes = rest;
        Ok(head)
    }

    /// An unsigned little-endian number of 1, 2, 4 or 8 bytes.
    fn unsigned(&mut self, count: usize) -> Result<u64, String> {
        let mut raw = [0; 8];
        raw[..count].copy_from_slice(self.take(count)?);
        Ok(u64::from_le_bytes(raw))
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), String> {
        self.stack.push(self.values.len());
        self.values.push(value);
        Ok(())
    }

    /// The stack never goes below the last mark.
    fn pop(&mut self) -> Result<Id, String> {
        if self.stack.len() <= self.marks.last().copied().unwrap_or(0) {
            return Err(UNDERFLOW.into());
        }
        self.stack.pop().ok_or_else(|| UNDERFLOW.into())
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().ok_or("damaged (no mark)")?;
        Ok(self.stack.split_off(mark))
    }

    fn top(&self) -> Result<Id, String> {
        self.stack.last().copied().ok_or_else(|| UNDERFLOW.into())
    }

    fn protocol(&mut self) -> Result<(), String> {
        match self.take(1)?[0] {
            2..=5 => Ok(()),
            version => Err(format!("protocol {version} is not read (2 to 5 are)")),
        }
    }

    fn integer(&mut self, opcode: u8) -> Result<(), String> {
        let value = match opcode {
            b'J' => i128::from(self.unsigned(4)? as u32 as i32),
            b'K' => i128::from(self.unsigned(1)?),
            b'M' => i128::from(self.unsigned(2)?),
            _ => {
                let count = usize::from(self.take(1)?[0]);
                let raw = self.take(count)?;
                if count > 16 {
                    return Err("an integer of more than 128 bits".into());
                }
                let mut wide = if raw.last().is_some_and(|byte| byte & 0x80 != 0) { [0xff; 16] } else { [0; 16] };
                wide[..count].copy_from_slice(raw);
                i128::from_le_bytes(wide)
            }
        };
        self.push(Value::Int(value))
    }

    fn string(&mut self, opcode: u8) -> Result<(), String> {
        let width = match opcode {
            0x8c | b'U' | b'C' => 1,
            0x8d => 8,
            _ => 4,
        };
        let count = usize::try_from(self.unsigned(width)?).map_err(|_| TRUNCATED)?;
        let raw = self.take(count)?;
        if matches!(opcode, b'B' | b'C') {
            return self.push(Value::Bytes);
        }
        let text = std::str::from_utf8(raw).map_err(|_| "a name is not UTF-8")?;
        self.push(Value::Text(text))
    }

    fn short_tuple(&mut self, count: usize) -> Result<(), String> {
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(self.pop()?);
        }
        items.reverse();
        self.push(Value::Tuple(items))
    }

    fn append(&mut self, many: bool) -> Result<(), String> {
        let items = if many { self.pop_mark()? } else { vec![self.pop()?] };
        let list = self.top()?;
        match &mut self.values[list] {
            Value::List(list) => {
                list.extend(items);
                Ok(())
            }
            _ => Err("damaged (append to what is no list)".into()),
        }
    }

    fn set_items(&mut self, many: bool) -> Result<(), String> {
        let items = if many {
            self.pop_mark()?
        } else {
            let value = self.pop()?;
            vec![self.pop()?, value]
        };
        let dict = self.top()?;
        match &mut self.values[dict] {
            Value::Dict(dict) if items.len() % 2 == 0 => {
                dict.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1])));
                Ok(())
            }
            _ => Err("damaged (items set in what is no dictionary)".into()),
        }
    }

    fn memorise(&mut self, opcode: u8) -> Result<(), String> {
        let slot = match opcode {
            b'q' => self.unsigned(1)? as u32,
            b'r' => self.unsigned(4)? as u32,
            _ => u32::try_from(self.memo.len()).map_err(|_| "too many memo entries")?,
        };
        self.memo.insert(slot, self.top()?);
        Ok(())
    }

    fn recall(&mut self, opcode: u8) -> Result<(), String> {
        let slot = self.unsigned(if opcode == b'h' { 1 } else { 4 })? as u32;
        let id = *self.memo.get(&slot).ok_or("damaged (an unknown memo entry)")?;
        self.stack.push(id);
        Ok(())
    }

    fn line(&mut self) -> Result<&'a str, String> {
        let end = self.bytes.iter().position(|&byte| byte == b'\n').ok_or(TRUNCATED)?;
        let line = self.take(end + 1)?;
        std::str::from_utf8(&line[..end]).map_err(|_| "a name is not UTF-8".into())
    }

    fn global(&mut self, opcode: u8) -> Result<(), String> {
        let (module, name) = if opcode == b'c' {
            (self.line()?, self.line()?)
        } else {
            let (name, module) = (self.pop()?, self.pop()?);
            match (&self.values[module], &self.values[name]) {
                (Value::Text(module), Value::Text(name)) => (*module, *name),
                _ => return Err("damaged (a global without a name)".into()),
            }
        };
        let global = match (module, name) {
            ("collections", "OrderedDict") => Global::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Global::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
            ("torch", name) if name.ends_with("Storage") => Global::Storage(name),
            _ => return Err(refusal(module, name)),
        };
        self.push(Value::Global(global))
    }

    fn reduce(&mut self) -> Result<(), String> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let Value::Tuple(arguments) = &self.values[arguments] else {
            return Err("damaged (a call without arguments)".into());
        };
        // A tuple may be the arguments of many calls: what is copied of it are seven numbers at most.
        let value = match &self.values[function] {
            Value::Global(Global::OrderedDict) if arguments.is_empty() => Value::Dict(Vec::new()),
            Value::Global(Global::RebuildTensor) if matches!(arguments.len(), 6 | 7) => Value::Tensor(arguments.clone()),
            // (tensor, requires_grad, backward_hooks)
            Value::Global(Global::RebuildParameter) if arguments.len() == 3 => match &self.values[arguments[0]] {
                Value::Tensor(inner) => Value::Tensor(inner.clone()),
                _ => return Err("a parameter that is no tensor".into()),
            },
            Value::Global(global) => return Err(format!("{global:?} called with {} arguments", arguments.len())),
            _ => return Err("damaged (a call of what is no function)".into()),
        };
        self.push(value)
    }

    /// `_metadata` on a state dict: attributes carry no weights.
    fn build(&mut self) -> Result<(), String> {
        self.pop()?;
        let object = self.top()?;
        match self.values[object] {
            Value::Dict(_) => Ok(()),
            _ => Err("an object with a state, not a dictionary of tensors: save model.state_dict()".into()),
        }
    }
}

/// Names the global that is refused, and what to do.
fn refusal(module: &str, name: &str) -> String {
    let full = format!("{}.{}", one_line(module, 60), one_line(name, 60));
    let hint = if module.starts_with("torch._utils") || module.starts_with("torch._tensor") {
        "convert the tensors to plain CPU tensors of a standard type first"
    } else {
        "only tensors in dictionaries are read and nothing is executed: save model.state_dict(), not the model"
    };
    format!("refers to {full}: {hint}")
}
