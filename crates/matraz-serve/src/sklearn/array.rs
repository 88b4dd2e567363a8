//! NumPy's arrays inside a pickle.

use super::pickle::Node;

/// An array in C order.
#[derive(Debug)]
pub(super) struct Array<'p, 'b> {
    pub shape: Vec<usize>,
    pub content: Content<'p, 'b>,
}

/// The elements of an array.
#[derive(Debug)]
pub(super) enum Content<'p, 'b> {
    /// Elements of one simple type: its code (`i8`, `f8`, `b1`, `U3`, …) and the little-endian bytes.
    Plain { code: &'b str, bytes: &'b [u8] },
    /// Records: their length in bytes and the fields' names, codes and offsets.
    Records { size: usize, fields: Vec<(&'b str, &'b str, usize)>, bytes: &'b [u8] },
    /// Python objects: the list of them.
    Objects(Node<'p, 'b>),
}

/// The part of NumPy that a name belongs to; it was called `core` before version 2.
fn is_numpy(name: Option<(&str, &str)>, module: &str, function: &str) -> bool {
    name.is_some_and(|(found, called)| {
        called == function
            && found
                .strip_prefix("numpy._core.")
                .or_else(|| found.strip_prefix("numpy.core."))
                .is_some_and(|found| found == module)
    })
}

impl<'p, 'b> Array<'p, 'b> {
    /// The array that `node` would have become; `None` when it is none, or one in another order.
    pub(super) fn of(node: Node<'p, 'b>) -> Option<Self> {
        let (dtype, shape, content) = if is_numpy(node.name(), "multiarray", "_reconstruct") {
            // (version, shape, dtype, is in Fortran's order, bytes or list)
            let state = node.state()?;
            if state.item(3)?.bool()? {
                return None;
            }
            (state.item(2)?, state.item(1)?, state.item(4)?)
        } else if is_numpy(node.name(), "numeric", "_frombuffer") {
            // (bytes, dtype, shape, order)
            let arguments = node.arguments()?;
            if arguments.item(3)?.text()? != "C" {
                return None;
            }
            (arguments.item(1)?, arguments.item(2)?, arguments.item(0)?)
        } else {
            return None;
        };
        let shape: Vec<usize> =
            shape.items()?.map(|n| usize::try_from(n.int()?).ok()).collect::<Option<_>>()?;
        let count = shape.iter().try_fold(1_usize, |all, n| all.checked_mul(*n))?;
        let content = match Type::of(dtype)? {
            Type::Objects => {
                if content.items()?.len() != count {
                    return None;
                }
                Content::Objects(content)
            }
            Type::Plain { code, size } => {
                let bytes = content.bytes().filter(|bytes| Some(bytes.len()) == count.checked_mul(size))?;
                Content::Plain { code, bytes }
            }
            Type::Records { size, fields } => {
                let bytes = content.bytes().filter(|bytes| Some(bytes.len()) == count.checked_mul(size))?;
                Content::Records { size, fields, bytes }
            }
        };
        Some(Self { shape, content })
    }

    /// The 64-bit floats of the array.
    pub(super) fn floats(&self) -> Option<Vec<f64>> {
        let Content::Plain { code: "f8", bytes } = &self.content else { return None };
        Some(bytes.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect())
    }

    /// The 64-bit integers of the array.
    pub(super) fn integers(&self) -> Option<Vec<i64>> {
        let Content::Plain { code: "i8", bytes } = &self.content else { return None };
        Some(bytes.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect())
    }

    /// The texts of the array, which are Python objects or of a fixed width.
    pub(super) fn texts(&self) -> Option<Vec<String>> {
        match &self.content {
            Content::Objects(list) => list.items()?.map(|item| item.text().map(str::to_owned)).collect(),
            Content::Plain { code, bytes } => {
                let width: usize = code.strip_prefix('U')?.parse().ok().filter(|width| *width > 0)?;
                let text = |cell: &[u8]| {
                    let mut text = String::new();
                    for point in cell.as_chunks().0 {
                        text.push(char::from_u32(u32::from_le_bytes(*point))?);
                    }
                    Some(text.trim_end_matches('\0').to_owned())
                };
                bytes.chunks_exact(width * 4).map(text).collect()
            }
            Content::Records { .. } => None,
        }
    }
}

/// The type of an array's elements.
enum Type<'b> {
    Plain { code: &'b str, size: usize },
    Records { size: usize, fields: Vec<(&'b str, &'b str, usize)> },
    Objects,
}

impl<'b> Type<'b> {
    fn of(dtype: Node<'_, 'b>) -> Option<Self> {
        if dtype.name() != Some(("numpy", "dtype")) {
            return None;
        }
        let code = dtype.arguments()?.item(0)?.text()?;
        // (version, byte order, sub-array, names, fields, size, alignment, flags)
        let state = dtype.state()?;
        if !matches!(state.item(1)?.text()?, "<" | "|") || !state.item(2)?.is_none() {
            return None;
        }
        let names = state.item(3)?;
        if names.is_none() {
            return match code {
                "O8" => Some(Self::Objects),
                "b1" | "u1" | "i8" | "f8" | "i4" | "f4" => {
                    Some(Self::Plain { code, size: code[1..].parse().ok()? })
                }
                _ => {
                    let width: usize = code.strip_prefix('U')?.parse().ok()?;
                    Some(Self::Plain { code, size: width.checked_mul(4)? })
                }
            };
        }
        let size = usize::try_from(state.item(5)?.int()?).ok()?;
        let described = state.item(4)?;
        let mut fields = Vec::new();
        for name in names.items()? {
            let name = name.text()?;
            let entry = described.get(name)?;
            let Self::Plain { code, size: width } = Self::of(entry.item(0)?)? else { return None };
            let offset = usize::try_from(entry.item(1)?.int()?).ok()?;
            if offset.checked_add(width)? > size {
                return None;
            }
            fields.push((name, code, offset));
        }
        Some(Self::Records { size, fields })
    }
}
