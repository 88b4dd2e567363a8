//! Typed access to the attributes of a node. What a kernel does not ask for is an error, so that no option of
//! a model is silently passed over.

use std::cell::RefCell;

use super::proto::{AttributeProto, NodeProto, attribute_type};
use super::tensor::{Tensor, texts};

pub(super) struct Attributes<'m> {
    all: &'m [AttributeProto],
    asked: RefCell<Vec<bool>>,
}

impl<'m> Attributes<'m> {
    pub(super) fn of(node: &'m NodeProto) -> Result<Self, String> {
        for (position, attribute) in node.attribute.iter().enumerate() {
            if !attribute.ref_attr_name.is_empty() {
                return Err(format!("attribute `{}` refers to a function's attribute", attribute.name));
            }
            // Nodes have a few dozen attributes at most; a model with more is refused before this grows slow.
            if position > 64 {
                return Err("it has too many attributes".into());
            }
            if node.attribute[..position].iter().any(|earlier| earlier.name == attribute.name) {
                return Err(format!("attribute `{}` is given twice", attribute.name));
            }
        }
        Ok(Self { all: &node.attribute, asked: RefCell::new(vec![false; node.attribute.len()]) })
    }

    fn find(&self, name: &str, kind: i32) -> Result<Option<&'m AttributeProto>, String> {
        let Some(position) = self.all.iter().position(|attribute| attribute.name == name) else {
            return Ok(None);
        };
        self.asked.borrow_mut()[position] = true;
        let found = &self.all[position];
        // Very old writers leave the kind out.
        if found.kind != kind && found.kind != 0 {
            return Err(format!("attribute `{name}` has the wrong type"));
        }
        Ok(Some(found))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.all.iter().any(|attribute| attribute.name == name)
    }

    pub(super) fn float(&self, name: &str) -> Result<Option<f32>, String> {
        Ok(self.find(name, attribute_type::FLOAT)?.map(|found| found.f.unwrap_or_default()))
    }

    pub(super) fn int(&self, name: &str) -> Result<Option<i64>, String> {
        Ok(self.find(name, attribute_type::INT)?.map(|found| found.i.unwrap_or_default()))
    }

    pub(super) fn int_or(&self, name: &str, default: i64) -> Result<i64, String> {
        Ok(self.int(name)?.unwrap_or(default))
    }

    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, String> {
        Ok(self.int(name)?.map_or(default, |n| n != 0))
    }

    pub(super) fn string(&self, name: &str) -> Result<Option<String>, String> {
        let Some(found) = self.find(name, attribute_type::STRING)? else { return Ok(None) };
        let bytes = found.s.clone().unwrap_or_default();
        String::from_utf8(bytes).map(Some).map_err(|_| format!("attribute `{name}` is not valid UTF-8"))
    }

    pub(super) fn floats(&self, name: &str) -> Result<&'m [f32], String> {
        Ok(self.find(name, attribute_type::FLOATS)?.map_or(&[], |found| &found.floats))
    }

    pub(super) fn ints(&self, name: &str) -> Result<&'m [i64], String> {
        Ok(self.find(name, attribute_type::INTS)?.map_or(&[], |found| &found.ints))
    }

    pub(super) fn strings(&self, name: &str) -> Result<Vec<String>, String> {
        match self.find(name, attribute_type::STRINGS)? {
            None => Ok(Vec::new()),
            Some(found) => texts(&found.strings).map_err(|reason| format!("attribute `{name}`: {reason}")),
        }
    }

    /// Texts as their bytes.
    pub(super) fn byte_strings(&self, name: &str) -> Result<&'m [Vec<u8>], String> {
        Ok(self.find(name, attribute_type::STRINGS)?.map_or(&[], |found| &found.strings))
    }

    pub(super) fn tensor(&self, name: &str) -> Result<Option<Tensor>, String> {
        match self.tensor_proto(name)? {
            None => Ok(None),
            Some(proto) => {
                Tensor::from_proto(proto).map(Some).map_err(|reason| format!("attribute `{name}`: {reason}"))
            }
        }
    }

    pub(super) fn tensor_proto(&self, name: &str) -> Result<Option<&'m super::proto::TensorProto>, String> {
        Ok(self.find(name, attribute_type::TENSOR)?.and_then(|found| found.t.as_deref()))
    }

    /// Marks attributes that carry nothing for the computation.
    pub(super) fn ignore(&self, names: &[&str]) {
        for (position, attribute) in self.all.iter().enumerate() {
            if names.contains(&attribute.name.as_str()) {
                self.asked.borrow_mut()[position] = true;
            }
        }
    }

    /// Refuses attributes that nobody asked for.
    pub(super) fn finish(&self) -> Result<(), String> {
        let asked = self.asked.borrow();
        match self.all.iter().zip(asked.iter()).find(|(_, asked)| !**asked) {
            Some((attribute, _)) => Err(format!("attribute `{}` is not supported", attribute.name)),
            None => Ok(()),
        }
    }
}
