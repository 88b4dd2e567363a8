//! A pickle read as data.
//!
//! Unpickling runs what a file says. Here nothing is run: the opcodes of protocols 2 to 5 (as `pickletools` of
//! Python describes them) build a tree in which a call is only the name of what was to be called beside its
//! arguments, and whoever looks at the tree decides which names mean something. An opcode that plain estimators do
//! not need is an error.

/// The most objects of a file; more are refused before they fill the memory.
const MAX_OBJECTS: usize = 4_000_000;

/// The number of an object.
type Id = u32;

#[derive(Debug)]
enum Object<'b> {
    None,
    Bool(bool),
    Int(i64),
    /// A float: estimators keep the numbers that matter in arrays.
    Float,
    Text(&'b str),
    Bytes(&'b [u8]),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// The name of a class or function.
    Global {
        module: &'b str,
        name: &'b str,
    },
    /// What a call would have made, with the state set afterwards.
    Made {
        by: Id,
        arguments: Id,
        state: Option<Id>,
    },
}

/// The objects of a pickle.
#[derive(Debug)]
pub(super) struct Pickle<'b> {
    objects: Vec<Object<'b>>,
    root: Id,
}

/// One object of a pickle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'p, 'b> {
    pickle: &'p Pickle<'b>,
    id: Id,
}

impl<'b> Pickle<'b> {
    /// Reads a whole file. The error says what in it is not plain data.
    pub(super) fn read(bytes: &'b [u8]) -> Result<Self, String> {
        let mut machine = Machine {
            bytes,
            at: 0,
            pickle: Self { objects: Vec::new(), root: 0 },
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Vec::new(),
        };
        machine.run()?;
        Ok(machine.pickle)
    }

    /// What the file holds.
    pub(super) fn root(&self) -> Node<'_, 'b> {
        Node { pickle: self, id: self.root }
    }
}

impl<'p, 'b> Node<'p, 'b> {
    fn object(self) -> &'p Object<'b> {
        &self.pickle.objects[self.id as usize]
    }

    fn at(self, id: Id) -> Self {
        Self { pickle: self.pickle, id }
    }

    pub(super) fn is_none(self) -> bool {
        matches!(self.object(), Object::None)
    }

    pub(super) fn bool(self) -> Option<bool> {
        if let Object::Bool(value) = self.object() { Some(*value) } else { None }
    }

    pub(super) fn int(self) -> Option<i64> {
        if let Object::Int(value) = self.object() { Some(*value) } else { None }
    }

    pub(super) fn text(self) -> Option<&'b str> {
        if let Object::Text(value) = self.object() { Some(value) } else { None }
    }

    pub(super) fn bytes(self) -> Option<&'b [u8]> {
        if let Object::Bytes(value) = self.object() { Some(value) } else { None }
    }

    /// The items of a list or tuple.
    pub(super) fn items(self) -> Option<impl ExactSizeIterator<Item = Self> + Clone> {
        if let Object::List(items) = self.object() {
            Some(items.iter().map(move |id| self.at(*id)))
        } else {
            None
        }
    }

    /// The item of a list or tuple at `position`.
    pub(super) fn item(self, position: usize) -> Option<Self> {
        self.items()?.nth(position)
    }

    /// The entry of a dictionary with the text `key`; the last one where it was set twice.
    pub(super) fn get(self, key: &str) -> Option<Self> {
        let Object::Dict(entries) = self.object() else { return None };
        entries
            .iter()
            .rev()
            .find(|(name, _)| self.at(*name).text() == Some(key))
            .map(|(_, value)| self.at(*value))
    }

    /// Module and name of what made this object, or of the class or function that it is itself.
    pub(super) fn name(self) -> Option<(&'b str, &'b str)> {
        match self.object() {
            Object::Global { module, name } => Some((module, name)),
            Object::Made { by, .. } => match self.at(*by).object() {
                Object::Global { module, name } => Some((module, name)),
                _ => None,
            },
            _ => None,
        }
    }

    /// The arguments of the call that would have made this object: a tuple.
    pub(super) fn arguments(self) -> Option<Self> {
        if let Object::Made { arguments, .. } = self.object() { Some(self.at(*arguments)) } else { None }
    }

    /// The state that would have been set afterwards.
    pub(super) fn state(self) -> Option<Self> {
        if let Object::Made { state, .. } = self.object() { state.map(|id| self.at(id)) } else { None }
    }
}

/// The stack machine of the format, without calls.
struct Machine<'b> {
    bytes: &'b [u8],
    at: usize,
    pickle: Pickle<'b>,
    stack: Vec<Id>,
    /// Heights of the stack at open marks.
    marks: Vec<usize>,
    memo: Vec<Option<Id>>,
}

impl<'b> Machine<'b> {
    fn run(&mut self) -> Result<(), String> {
        loop {
            let start = self.at;
            match self.byte()? {
                b'.' => {
                    self.pickle.root = self.pop()?;
                    return Ok(());
                }
                0x80 => {
                    let version = self.byte()?;
                    if !(2..=5).contains(&version) {
                        return Err(format!("protocol {version} of pickle is not read"));
                    }
                }
                0x95 => {
                    self.take(8)?;
                }
                b'(' => self.marks.push(self.stack.len()),
                b'N' => self.push(Object::None)?,
                0x88 => self.push(Object::Bool(true))?,
                0x89 => self.push(Object::Bool(false))?,
                b'K' => {
                    let value = self.byte()?;
                    self.push(Object::Int(value.into()))?;
                }
                b'M' => {
                    let value = u16::from_le_bytes(self.array()?);
                    self.push(Object::Int(value.into()))?;
                }
                b'J' => {
                    let value = i32::from_le_bytes(self.array()?);
                    self.push(Object::Int(value.into()))?;
                }
                0x8a => {
                    let length = self.byte()?;
                    let value = integer(self.take(length.into())?)?;
                    self.push(Object::Int(value))?;
                }
                b'G' => {
                    self.take(8)?;
                    self.push(Object::Float)?;
                }
                0x8c => {
                    let length = self.byte()?.into();
                    self.text(length)?;
                }
                b'X' => {
                    let length = self.length4()?;
                    self.text(length)?;
                }
                0x8d => {
                    let length = self.length8()?;
                    self.text(length)?;
                }
                b'C' => {
                    let length = self.byte()?.into();
                    self.raw(length)?;
                }
                b'B' => {
                    let length = self.length4()?;
                    self.raw(length)?;
                }
                // Bytes, and bytes that could be changed.
                0x8e | 0x96 => {
                    let length = self.length8()?;
                    self.raw(length)?;
                }
                b']' | b')' => self.push(Object::List(Vec::new()))?,
                b'}' => self.push(Object::Dict(Vec::new()))?,
                b't' => {
                    let items = self.since_mark()?;
                    self.push(Object::List(items))?;
                }
                count @ 0x85..=0x87 => {
                    let from = self.stack.len().checked_sub(usize::from(count - 0x84)).ok_or(SHORT)?;
                    let items = self.stack.split_off(from);
                    self.push(Object::List(items))?;
                }
                b'a' => {
                    let item = self.pop()?;
                    self.append(vec![item])?;
                }
                b'e' => {
                    let items = self.since_mark()?;
                    self.append(items)?;
                }
                b's' => {
                    let (value, key) = (self.pop()?, self.pop()?);
                    self.set(&[key, value])?;
                }
                b'u' => {
                    let items = self.since_mark()?;
                    self.set(&items)?;
                }
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.push(Object::Global { module, name })?;
                }
                0x93 => {
                    let (name, module) = (self.pop()?, self.pop()?);
                    let (Object::Text(module), Object::Text(name)) = (self.object(module), self.object(name))
                    else {
                        return Err("a name is no text".into());
                    };
                    let (module, name) = (*module, *name);
                    self.push(Object::Global { module, name })?;
                }
                // A call of a function, or of a class.
                b'R' | 0x81 => {
                    let (arguments, by) = (self.pop()?, self.pop()?);
                    self.push(Object::Made { by, arguments, state: None })?;
                }
                b'b' => {
                    let (given, target) = (self.pop()?, self.top()?);
                    match &mut self.pickle.objects[target as usize] {
                        Object::Made { state, .. } if state.is_none() => *state = Some(given),
                        _ => return Err("the state of an object is set twice, or that of no object".into()),
                    }
                }
                b'q' => {
                    let place = self.byte()?.into();
                    self.remember(place)?;
                }
                b'r' => {
                    let place = self.length4()?;
                    self.remember(place)?;
                }
                0x94 => self.remember(self.memo.len())?,
                b'h' => {
                    let place = self.byte()?.into();
                    self.recall(place)?;
                }
                b'j' => {
                    let place = self.length4()?;
                    self.recall(place)?;
                }
                b'0' => {
                    self.pop()?;
                }
                opcode => return Err(format!("the opcode 0x{opcode:02x} at byte {start} is no plain data")),
            }
        }
    }

    fn take(&mut self, length: usize) -> Result<&'b [u8], String> {
        let taken = self.at.checked_add(length).and_then(|end| self.bytes.get(self.at..end)).ok_or(SHORT)?;
        self.at += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.take(N)?.try_into().map_err(|_| SHORT.to_owned())
    }

    fn byte(&mut self) -> Result<u8, String> {
        self.array().map(|[byte]| byte)
    }

    fn length4(&mut self) -> Result<usize, String> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    fn length8(&mut self) -> Result<usize, String> {
        usize::try_from(u64::from_le_bytes(self.array()?)).map_err(|_| SHORT.into())
    }

    fn line(&mut self) -> Result<&'b str, String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| *byte == b'\n').ok_or(SHORT)?;
        self.at += length + 1;
        std::str::from_utf8(&rest[..length]).map_err(|_| "a name is not valid UTF-8".into())
    }

    fn text(&mut self, length: usize) -> Result<(), String> {
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| "a text is not valid UTF-8")?;
        self.push(Object::Text(text))
    }

    fn raw(&mut self, length: usize) -> Result<(), String> {
        let bytes = self.take(length)?;
        self.push(Object::Bytes(bytes))
    }

    fn object(&self, id: Id) -> &Object<'b> {
        &self.pickle.objects[id as usize]
    }

    fn push(&mut self, object: Object<'b>) -> Result<(), String> {
        if self.pickle.objects.len() == MAX_OBJECTS {
            return Err(format!("it has more than {MAX_OBJECTS} objects"));
        }
        self.stack.push(self.pickle.objects.len() as Id);
        self.pickle.objects.push(object);
        Ok(())
    }

    fn top(&self) -> Result<Id, String> {
        self.stack.last().copied().ok_or_else(|| SHORT.into())
    }

    fn pop(&mut self) -> Result<Id, String> {
        self.stack.pop().ok_or_else(|| SHORT.into())
    }

    /// What was pushed since the last mark, which is closed.
    fn since_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().filter(|mark| *mark <= self.stack.len()).ok_or(SHORT)?;
        Ok(self.stack.split_off(mark))
    }

    fn append(&mut self, items: Vec<Id>) -> Result<(), String> {
        let target = self.top()?;
        match &mut self.pickle.objects[target as usize] {
            Object::List(known) => known.extend(items),
            _ => return Err("something is appended to what is no list".into()),
        }
        Ok(())
    }

    fn set(&mut self, items: &[Id]) -> Result<(), String> {
        let target = self.top()?;
        match &mut self.pickle.objects[target as usize] {
            Object::Dict(entries) if items.len().is_multiple_of(2) => {
                entries.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1])));
            }
            _ => return Err("something is set in what is no dictionary".into()),
        }
        Ok(())
    }

    fn remember(&mut self, place: usize) -> Result<(), String> {
        let id = self.top()?;
        // Places are counted up, one for each object at most.
        if place > self.pickle.objects.len() {
            return Err(format!("it remembers an object at place {place}"));
        }
        if place >= self.memo.len() {
            self.memo.resize(place + 1, None);
        }
        self.memo[place] = Some(id);
        Ok(())
    }

    fn recall(&mut self, place: usize) -> Result<(), String> {
        let id = self.memo.get(place).copied().flatten();
        self.stack.push(id.ok_or_else(|| format!("nothing is remembered at place {place}"))?);
        Ok(())
    }
}

/// What is said of a file that ends early or takes what is not there.
const SHORT: &str = "it is no whole pickle";

/// A little-endian integer in two's complement.
fn integer(bytes: &[u8]) -> Result<i64, String> {
    if bytes.len() > 8 {
        return Err("it holds an integer of more than 64 bits".into());
    }
    let negative = bytes.last().is_some_and(|byte| *byte >= 0x80);
    let mut wide = [if negative { 0xff } else { 0 }; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    Ok(i64::from_le_bytes(wide))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_read_and_not_made() {
        // pickle.dumps of an object whose class says `os.system("x")` rebuilds it.
        let bytes = b"\x80\x04\x95\x1d\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x01x\x94\x85\x94R\x94.";
        let pickle = Pickle::read(bytes).unwrap();
        let root = pickle.root();
        assert_eq!(root.name(), Some(("posix", "system")));
        assert_eq!(root.arguments().unwrap().item(0).unwrap().text(), Some("x"));
        assert!(root.state().is_none());
    }

    #[test]
    fn plain_values_are_read() {
        // {"a": [1, -2, 300, 2.5, None, True], "b": "c", "big": 2**40}, and "a" set once more to b"x"
        let bytes = b"\x80\x04}\x94(\x8c\x01a](K\x01J\xfe\xff\xff\xffM\x2c\x01G@\x04\0\0\0\0\0\0N\x88e\x8c\x01b\x8c\x01c\
                      \x8c\x03big\x8a\x06\0\0\0\0\0\x01u.";
        let pickle = Pickle::read(bytes).unwrap();
        let list: Vec<_> = pickle.root().get("a").unwrap().items().unwrap().collect();
        assert_eq!(list[..3].iter().map(|item| item.int().unwrap()).collect::<Vec<_>>(), [1, -2, 300]);
        assert!(list[4].is_none());
        assert_eq!(list[5].bool(), Some(true));
        assert_eq!(pickle.root().get("big").unwrap().int(), Some(1 << 40));
        let twice = b"\x80\x04}(\x8c\x01aK\x01\x8c\x01aC\x01xu.";
        assert_eq!(Pickle::read(twice).unwrap().root().get("a").unwrap().bytes(), Some(&b"x"[..]));
    }

    #[test]
    fn what_is_broken_or_not_plain_is_refused() {
        let broken: [&[u8]; 12] = [
            b"",
            b"\x80\x04",
            b"\x80\x04.",
            b"\x80\x04\x8c\x05ab.",
            b"\x80\x04t.",
            b"\x80\x04h\x05.",
            b"\x80\x04Nb.",
            b"\x80\x04N\x8c\x01aa.",
            b"\x80\x04}(Nu.",
            b"\x80\x04B\xff\xff\xff\xff",
            b"\x80\x04Nr\xff\xff\xff\x7f.",
            b"\x80\x02cposix\nsystem\nQ.",
        ];
        for bytes in broken {
            assert!(Pickle::read(bytes).is_err(), "{}", bytes.escape_ascii());
        }
    }
}
