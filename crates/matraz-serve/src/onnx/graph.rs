//! A loaded model: its graph checked, planned and ready to run.

use std::collections::HashMap;
use std::path::Path;

use prost::Message;

use super::attributes::Attributes;
use super::operators::{Inputs, Kernel};
use super::proto::{DimensionValue, ML_DOMAIN, ModelProto, NodeProto, TypeProto, TypeValue, ValueInfoProto};
use super::tensor::{Element, Tensor, Value, show_shape};
use super::wire;
use crate::Error;

/// Operator sets that the interpreter knows: domain, oldest and newest version.
const OPERATOR_SETS: [(&str, i64, i64); 2] = [("", 7, 25), (ML_DOMAIN, 1, 5)];

/// Nodes that a graph may have.
const MAX_NODES: usize = 100_000;

/// An input or output of a model as its file declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: PortKind,
}

/// What an input or output holds.
#[derive(Clone, Debug, PartialEq)]
pub enum PortKind {
    /// A tensor.
    Tensor {
        /// Type of the elements.
        element: Element,
        /// Lengths of the axes, `None` for any length; `None` as a whole for any shape.
        shape: Option<Vec<Option<usize>>>,
    },
    /// A sequence of maps (outputs only).
    Maps,
}

/// Where a node finds a value.
#[derive(Clone, Copy, Debug)]
enum Source {
    Absent,
    Constant(usize),
    Slot(usize),
}

#[derive(Debug)]
struct Step {
    name: String,
    operator: String,
    kernel: Kernel,
    inputs: Vec<Source>,
    /// Slots for the outputs; `None` for an output that nobody reads.
    outputs: Vec<Option<usize>>,
    /// Slots whose value nobody reads after this step.
    done: Vec<usize>,
}

/// A model ready to run. It is immutable, so that one model serves many threads.
#[derive(Debug)]
pub struct Model {
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    constants: Vec<Value>,
    steps: Vec<Step>,
    slots: usize,
    /// The slot of every input; `None` when nothing reads it.
    input_slots: Vec<Option<usize>>,
    output_sources: Vec<Source>,
}

/// Reads and checks a model file.
pub fn load(path: &Path) -> Result<Model, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::Read { path: path.to_path_buf(), source })?;
    parse(&bytes).map_err(|error| Error::ModelFile { path: path.to_path_buf(), source: Box::new(error) })
}

/// Checks the bytes of a model file.
pub fn parse(bytes: &[u8]) -> Result<Model, Error> {
    wire::check(bytes).map_err(|reason| Error::NotOnnx { reason })?;
    let proto = ModelProto::decode(bytes).map_err(|error| Error::NotOnnx { reason: error.to_string() })?;
    Model::new(&proto)
}

fn malformed(reason: impl Into<String>) -> Error {
    Error::Graph { reason: reason.into() }
}

/// `ai.onnx` is another spelling of the empty domain.
fn plain_domain(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}

fn shown_domain(domain: &str) -> String {
    if domain.is_empty() { "ai.onnx".into() } else { domain.to_owned() }
}

/// Versions of the operator sets in use, by domain.
fn operator_sets(proto: &ModelProto) -> Result<HashMap<&str, i64>, Error> {
    let mut versions = HashMap::new();
    for set in &proto.opset_import {
        let domain = plain_domain(&set.domain);
        if let Some((_, oldest, newest)) = OPERATOR_SETS.iter().find(|(name, ..)| *name == domain)
            && !(*oldest..=*newest).contains(&set.version)
        {
            return Err(Error::OperatorSet {
                domain: shown_domain(domain),
                version: set.version,
                oldest: *oldest,
                newest: *newest,
            });
        }
        // skl2onnx names some sets twice.
        if versions.insert(domain, set.version).is_some_and(|known| known != set.version) {
            return Err(malformed(format!(
                "the operator set `{}` is imported at two versions",
                shown_domain(domain)
            )));
        }
    }
    if versions.is_empty() {
        return Err(malformed("it names no operator set"));
    }
    Ok(versions)
}

impl Model {
    /// Checks and plans a decoded model.
    pub fn new(proto: &ModelProto) -> Result<Self, Error> {
        let versions = operator_sets(proto)?;
        let graph = proto.graph.as_ref().ok_or_else(|| malformed("there is no graph"))?;
        if let Some(function) = proto.functions.first() {
            return Err(malformed(format!("the local function `{}` is not supported", function.name)));
        }
        if let Some(sparse) = graph.sparse_initializer.first() {
            let name = sparse.values.as_ref().map_or("", |values| &values.name);
            return Err(malformed(format!("the sparse constant `{name}` is not supported")));
        }
        if graph.node.len() > MAX_NODES {
            return Err(malformed(format!("it has more than {MAX_NODES} nodes")));
        }
        let mut plan = Plan::default();
        for tensor in &graph.initializer {
            let value = Tensor::from_proto(tensor)
                .map_err(|reason| malformed(format!("constant `{}`: {reason}", tensor.name)))?;
            plan.define_constant(&tensor.name, value.into())?;
        }
        let mut inputs = Vec::new();
        let mut input_slots = Vec::new();
        for info in &graph.input {
            // Old files list their constants among the inputs.
            if plan.sources.contains_key(info.name.as_str()) {
                continue;
            }
            let port = port(info, false)?;
            input_slots.push(plan.define(&info.name)?);
            inputs.push(port);
        }
        for node in &graph.node {
            plan.add(node, &versions)?;
        }
        if graph.output.is_empty() {
            return Err(malformed("it has no output"));
        }
        let mut outputs = Vec::new();
        let mut output_sources = Vec::new();
        for info in &graph.output {
            let source = plan
                .sources
                .get(info.name.as_str())
                .ok_or_else(|| malformed(format!("nothing makes the output `{}`", info.name)))?;
            if outputs.iter().any(|known: &Port| known.name == info.name) {
                return Err(malformed(format!("the output `{}` is listed twice", info.name)));
            }
            output_sources.push(*source);
            outputs.push(port(info, true)?);
        }
        let (steps, needed) = plan.finish(&output_sources);
        Ok(Self {
            inputs,
            outputs,
            constants: plan.constants,
            steps,
            slots: plan.slots,
            input_slots: input_slots.into_iter().map(|slot| needed[slot].then_some(slot)).collect(),
            output_sources,
        })
    }

    /// The inputs, in the order of the file.
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// The outputs, in the order of the file.
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    /// Runs the model on one tensor for each input, by name, and gives its outputs in the order of
    /// [`outputs`](Self::outputs).
    pub fn run(&self, given: Vec<(String, Tensor)>) -> Result<Vec<(String, Value)>, Error> {
        let mut slots: Vec<Option<Value>> = Vec::new();
        slots.resize_with(self.slots, || None);
        let mut seen = vec![false; self.inputs.len()];
        for (name, tensor) in given {
            let wrong = |reason: String| Error::Input { input: name.clone(), reason };
            let number = self
                .inputs
                .iter()
                .position(|port| port.name == name)
                .ok_or_else(|| wrong("the model has no such input".into()))?;
            if std::mem::replace(&mut seen[number], true) {
                return Err(wrong("it is given twice".into()));
            }
            check_input(&self.inputs[number], &tensor).map_err(wrong)?;
            if let Some(slot) = self.input_slots[number] {
                slots[slot] = Some(tensor.into());
            }
        }
        if let Some(number) = seen.iter().position(|seen| !seen) {
            return Err(Error::Input {
                input: self.inputs[number].name.clone(),
                reason: "it is missing".into(),
            });
        }
        for step in &self.steps {
            let failed = |reason: String| Error::Run {
                node: step.name.clone(),
                operator: step.operator.clone(),
                reason,
            };
            let values = step
                .inputs
                .iter()
                .map(|source| match source {
                    Source::Absent => None,
                    Source::Constant(number) => self.constants.get(*number),
                    Source::Slot(slot) => slots[*slot].as_ref(),
                })
                .collect();
            let made = step.kernel.run(&Inputs::new(values)).map_err(failed)?;
            for slot in &step.done {
                slots[*slot] = None;
            }
            for (value, slot) in made.into_iter().zip(&step.outputs) {
                if let Some(slot) = slot {
                    slots[*slot] = Some(value);
                }
            }
        }
        let mut answers = Vec::with_capacity(self.outputs.len());
        for (port, source) in self.outputs.iter().zip(&self.output_sources) {
            let value = match source {
                Source::Slot(slot) => slots[*slot].clone(),
                Source::Constant(number) => self.constants.get(*number).cloned(),
                Source::Absent => None,
            };
            let value = value.ok_or_else(|| malformed(format!("nothing made the output `{}`", port.name)))?;
            answers.push((port.name.clone(), value));
        }
        Ok(answers)
    }
}

/// Names of values as the nodes come by.
#[derive(Default)]
struct Plan<'m> {
    sources: HashMap<&'m str, Source>,
    constants: Vec<Value>,
    slots: usize,
    steps: Vec<Step>,
}

impl<'m> Plan<'m> {
    fn known_twice(name: &str) -> Error {
        malformed(format!("the value `{name}` is made twice"))
    }

    fn define(&mut self, name: &'m str) -> Result<usize, Error> {
        let slot = self.slots;
        if self.sources.insert(name, Source::Slot(slot)).is_some() {
            return Err(Self::known_twice(name));
        }
        self.slots += 1;
        Ok(slot)
    }

    fn define_constant(&mut self, name: &'m str, value: Value) -> Result<(), Error> {
        if self.sources.insert(name, Source::Constant(self.constants.len())).is_some() {
            return Err(Self::known_twice(name));
        }
        self.constants.push(value);
        Ok(())
    }

    fn add(&mut self, node: &'m NodeProto, versions: &HashMap<&str, i64>) -> Result<(), Error> {
        let domain = plain_domain(&node.domain);
        let wrong =
            |reason: String| Error::Node { node: node_name(node), operator: node.op_type.clone(), reason };
        let unsupported = || Error::Operator {
            node: node_name(node),
            operator: node.op_type.clone(),
            domain: shown_domain(domain),
        };
        if !OPERATOR_SETS.iter().any(|(name, ..)| *name == domain) {
            return Err(unsupported());
        }
        let version = *versions.get(domain).ok_or_else(|| {
            wrong(format!("the model names no version of the operator set `{}`", shown_domain(domain)))
        })?;
        let attributes = Attributes::of(node).map_err(wrong)?;
        let kernel = Kernel::of(domain, &node.op_type, version, &attributes)
            .map_err(wrong)?
            .ok_or_else(unsupported)?;
        let inputs = node
            .input
            .iter()
            .map(|name| match name.as_str() {
                "" => Ok(Source::Absent),
                name => self
                    .sources
                    .get(name)
                    .copied()
                    .ok_or_else(|| wrong(format!("nothing before it makes its input `{name}`"))),
            })
            .collect::<Result<Vec<_>, _>>()?;
        if node.output.len() > kernel.outputs() {
            return Err(wrong(format!("it has {} outputs", node.output.len())));
        }
        if let (Kernel::Constant(tensor), [name]) = (&kernel, node.output.as_slice()) {
            return self.define_constant(name, tensor.clone().into());
        }
        let outputs = node
            .output
            .iter()
            .map(|name| if name.is_empty() { Ok(None) } else { self.define(name).map(Some) })
            .collect::<Result<Vec<_>, _>>()?;
        self.steps.push(Step {
            name: node_name(node),
            operator: node.op_type.clone(),
            kernel,
            inputs,
            outputs,
            done: Vec::new(),
        });
        Ok(())
    }

    /// Drops steps that no output needs, and notes where each value is read last. Also gives which slots are
    /// needed at all.
    fn finish(&mut self, outputs: &[Source]) -> (Vec<Step>, Vec<bool>) {
        let mut needed = vec![false; self.slots];
        for source in outputs {
            if let Source::Slot(slot) = source {
                needed[*slot] = true;
            }
        }
        let mut kept = Vec::new();
        for mut step in std::mem::take(&mut self.steps).into_iter().rev() {
            if !step.outputs.iter().flatten().any(|slot| needed[*slot]) {
                continue;
            }
            for output in &mut step.outputs {
                *output = output.filter(|slot| needed[*slot]);
            }
            for source in &step.inputs {
                if let Source::Slot(slot) = source
                    && !std::mem::replace(&mut needed[*slot], true)
                {
                    step.done.push(*slot);
                }
            }
            kept.push(step);
        }
        kept.reverse();
        (kept, needed)
    }
}

fn node_name(node: &NodeProto) -> String {
    match (node.name.as_str(), node.output.first()) {
        ("", Some(output)) => output.clone(),
        (name, _) => name.to_owned(),
    }
}

fn port(info: &ValueInfoProto, is_output: bool) -> Result<Port, Error> {
    let what = if is_output { "output" } else { "input" };
    let wrong = |reason: &str| malformed(format!("{what} `{}`: {reason}", info.name));
    if info.name.is_empty() {
        return Err(malformed(format!("an {what} has no name")));
    }
    let value = info.value_type.as_ref().and_then(|given| given.value.as_ref());
    let kind = match value {
        Some(TypeValue::Tensor(tensor)) => PortKind::Tensor {
            element: Element::from_onnx(tensor.elem_type)
                .ok_or_else(|| wrong(&format!("element type {} is not supported", tensor.elem_type)))?,
            shape: tensor.shape.as_ref().map(|shape| {
                shape
                    .dim
                    .iter()
                    .map(|dimension| match dimension.value {
                        Some(DimensionValue::Value(length)) => usize::try_from(length).ok(),
                        _ => None,
                    })
                    .collect()
            }),
        },
        Some(TypeValue::Sequence(sequence)) if is_output => {
            let inner = sequence.elem_type.as_deref().and_then(|inner: &TypeProto| inner.value.as_ref());
            match inner {
                Some(TypeValue::Map(_)) => PortKind::Maps,
                _ => return Err(wrong("sequences of anything but maps are not supported")),
            }
        }
        Some(_) => return Err(wrong("only tensors are supported")),
        None => return Err(wrong("it has no type")),
    };
    Ok(Port { name: info.name.clone(), kind })
}

fn check_input(port: &Port, tensor: &Tensor) -> Result<(), String> {
    let PortKind::Tensor { element, shape } = &port.kind else {
        return Err("it is no tensor".into());
    };
    if tensor.element() != *element {
        return Err(format!("it is {}, the model takes {element}", tensor.element()));
    }
    let Some(shape) = shape else { return Ok(()) };
    let fits = shape.len() == tensor.shape().len()
        && shape.iter().zip(tensor.shape()).all(|(wanted, found)| wanted.is_none_or(|n| n == *found));
    if fits {
        return Ok(());
    }
    let wanted: Vec<String> =
        shape.iter().map(|length| length.map_or_else(|| "any".into(), |n| n.to_string())).collect();
    Err(format!("its shape is {}, the model takes ({})", show_shape(tensor.shape()), wanted.join(", ")))
}
