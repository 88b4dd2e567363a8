//! A look at the bytes of a model before they are decoded, so that a small hostile file cannot claim a large
//! part of the memory.
//!
//! Every message costs a fixed number of bytes once decoded, even when it takes two bytes in the file. The walk
//! below counts messages by the nesting that the format allows and refuses files that have too many of them.

/// Nesting deeper than this is refused (graphs within attributes within graphs).
const MAX_DEPTH: u32 = 32;

/// Bytes of memory that the messages of any file may take, and how many times its size beyond that.
const FREE_BYTES: usize = 64 << 20;
const BYTES_PER_BYTE: usize = 16;

/// What a decoded message takes at most, and what a text or a small pair takes.
const MESSAGE_BYTES: usize = 320;
const LEAF_BYTES: usize = 48;

#[derive(Clone, Copy)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    SparseTensor,
    ValueInfo,
    Type,
    NestedType,
    TensorType,
    Shape,
    /// No message inside that is counted one by one.
    Leaf,
}

/// The message in a length-delimited field, if the field holds one; `None` for texts, bytes, packed numbers and
/// fields that are skipped.
fn field(message: Message, number: u64) -> Option<Message> {
    use Message::*;
    Some(match (message, number) {
        (Model, 7) => Graph,
        (Model, 8 | 14 | 25) => Leaf,
        (Graph, 1) => Node,
        (Graph, 5) => Tensor,
        (Graph, 15) => SparseTensor,
        (Graph, 11..=13) => ValueInfo,
        (Node, 5) => Attribute,
        (Node, 1 | 2) => Leaf,
        (Attribute, 5 | 10) => Tensor,
        (Attribute, 6 | 11) => Graph,
        (Attribute, 9) => Leaf,
        (Tensor, 6 | 13) => Leaf,
        (SparseTensor, 1 | 2) => Tensor,
        (ValueInfo, 2) => Type,
        (Type, 1 | 8) => TensorType,
        (Type, 4 | 5 | 9) => NestedType,
        (NestedType, 1 | 2) => Type,
        (TensorType, 2) => Shape,
        (Shape, 1) => Leaf,
        _ => return None,
    })
}

/// Refuses bytes that would decode into far more memory than they take, or that nest too deeply. It does not
/// check that they are a model: decoding does.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    let mut left = FREE_BYTES.saturating_add(bytes.len().saturating_mul(BYTES_PER_BYTE));
    walk(bytes, Message::Model, 0, &mut left)
}

fn walk(mut bytes: &[u8], message: Message, depth: u32, left: &mut usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err("its messages nest too deeply".into());
    }
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        match key & 7 {
            0 => {
                varint(&mut bytes)?;
            }
            1 => skip(&mut bytes, 8)?,
            5 => skip(&mut bytes, 4)?,
            2 => {
                let length = varint(&mut bytes)?;
                let length = usize::try_from(length).map_err(|_| truncated())?;
                let inner = bytes.get(..length).ok_or_else(truncated)?;
                bytes = &bytes[length..];
                if let Some(kind) = field(message, key >> 3) {
                    let is_leaf = matches!(kind, Message::Leaf);
                    let cost = if is_leaf { LEAF_BYTES } else { MESSAGE_BYTES };
                    *left = left.checked_sub(cost).ok_or("it has too many parts for its size")?;
                    if !is_leaf {
                        walk(inner, kind, depth + 1, left)?;
                    }
                }
            }
            other => return Err(format!("wire type {other} does not occur in ONNX")),
        }
    }
    Ok(())
}

fn truncated() -> String {
    "it ends in the middle".into()
}

fn skip(bytes: &mut &[u8], count: usize) -> Result<(), String> {
    *bytes = bytes.get(count..).ok_or_else(truncated)?;
    Ok(())
}

fn varint(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0u64;
    for shift in 0..10 {
        let (byte, rest) = bytes.split_first().ok_or_else(truncated)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (7 * shift);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a number is longer than 10 bytes".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_empty_messages_is_refused() {
        // A graph (field 7) that holds a million empty nodes (field 1, length 0).
        let nodes = [0x0a, 0x00].repeat(1_000_000);
        let mut bytes = vec![0x3a];
        bytes.extend([0x80, 0x89, 0x7a]);
        bytes.extend(&nodes);
        assert_eq!(check(&bytes), Err("it has too many parts for its size".into()));
    }

    #[test]
    fn deep_nesting_is_refused() {
        // graph > node > attribute > graph > …, each the only content of the one around it.
        let mut bytes = Vec::new();
        for level in 0..60 {
            let key = [0x32, 0x2a, 0x0a][level % 3];
            let mut outer = vec![key];
            let mut length = bytes.len();
            while length >= 0x80 {
                outer.push((length & 0x7f) as u8 | 0x80);
                length >>= 7;
            }
            outer.push(length as u8);
            outer.extend(&bytes);
            bytes = outer;
        }
        let mut model = vec![0x3a, (bytes.len() & 0x7f) as u8 | 0x80, (bytes.len() >> 7) as u8];
        model.extend(&bytes);
        assert_eq!(check(&model), Err("its messages nest too deeply".into()));
    }

    #[test]
    fn truncated_bytes_are_refused() {
        assert_eq!(check(&[0x3a, 0x05, 0x0a]), Err(truncated()));
        assert_eq!(check(&[0x08]), Err(truncated()));
    }
}
