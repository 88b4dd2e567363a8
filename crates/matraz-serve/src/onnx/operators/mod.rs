//! The operators that the interpreter knows: one [`Kernel`] for each, made from a node at load, run on values.

mod arithmetic;
mod broadcast;
pub(crate) mod cast;
mod class_rule;
mod encoders;
mod features;
mod linear;
mod matrix;
mod reduce;
mod scores;
mod shaping;
mod svm;
mod trees;

use arithmetic::{Binary, Clip, Comparison, Logic, Unary, Variadic};
use reduce::Reduction;

use super::attributes::Attributes;
use super::proto::ML_DOMAIN;
use super::tensor::{Labels, Tensor, Value};

/// The values that a node reads; `None` is an optional input left out.
pub(crate) struct Inputs<'v> {
    values: Vec<Option<&'v Value>>,
}

impl<'v> Inputs<'v> {
    pub(super) fn new(values: Vec<Option<&'v Value>>) -> Self {
        Self { values }
    }

    fn len(&self) -> usize {
        self.values.len()
    }

    fn optional(&self, number: usize) -> Result<Option<&'v Tensor>, String> {
        match self.values.get(number) {
            Some(Some(Value::Tensor(tensor))) => Ok(Some(tensor)),
            Some(Some(Value::Maps { .. })) => Err(format!("input {number} is a sequence of maps")),
            _ => Ok(None),
        }
    }

    fn tensor(&self, number: usize) -> Result<&'v Tensor, String> {
        self.optional(number)?.ok_or_else(|| format!("input {number} is missing"))
    }
}

/// An axis that may count from the end.
fn axis_of(axis: i64, rank: usize) -> Result<usize, String> {
    let place = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    usize::try_from(place)
        .ok()
        .filter(|place| *place < rank)
        .ok_or_else(|| format!("axis {axis} of a tensor with {rank} axes"))
}

/// Class labels, of which either integers or texts are given.
fn class_labels(attributes: &Attributes<'_>, integers: &str, texts: &str) -> Result<Labels, String> {
    let numbers = attributes.ints(integers)?;
    let words = attributes.strings(texts)?;
    match (numbers.is_empty(), words.is_empty()) {
        (false, true) => Ok(Labels::Integers(numbers.to_vec())),
        (true, false) => Ok(Labels::Texts(words)),
        _ => Err("either integer or text labels must be given".into()),
    }
}

/// What an operator is, ready to run.
#[derive(Debug)]
pub(crate) enum Kernel {
    ArgExtreme(reduce::ArgExtreme),
    ArrayFeatureExtractor,
    Binarizer(features::Binarizer),
    Binary(Binary),
    Cast(cast::Cast),
    Clip(Clip),
    Comparison(Comparison),
    Concat { axis: i64 },
    Constant(Tensor),
    ConstantOfShape(shaping::ConstantOfShape),
    CumSum(reduce::CumSum),
    Ensemble(Box<trees::Ensemble>),
    Expand,
    FeatureVectorizer(features::FeatureVectorizer),
    Flatten { axis: i64 },
    Gather { axis: i64 },
    GatherElements { axis: i64 },
    Gemm(matrix::Gemm),
    Identity,
    Imputer(features::Imputer),
    IsNaN,
    LabelEncoder(Box<encoders::LabelEncoder>),
    LinearClassifier(linear::Classifier),
    LinearRegressor(linear::Regressor),
    Logic(Logic),
    MatMul,
    Normalizer(features::Norm),
    Not,
    OneHotEncoder(encoders::OneHotEncoder),
    Pow,
    Reduce(reduce::Reduce),
    Reshape(shaping::Reshape),
    Scaler(features::Scaler),
    Shape(shaping::Shape),
    Slice(shaping::Slice),
    Softmax(reduce::Softmax),
    Squeeze { axes: Option<Vec<i64>> },
    SvmClassifier(Box<svm::Classifier>),
    SvmRegressor(svm::Regressor),
    Tile,
    TopK(reduce::TopK),
    Transpose { order: Vec<i64> },
    Unary(Unary),
    Unsqueeze { axes: Option<Vec<i64>> },
    Variadic(Variadic),
    Where,
    ZipMap(encoders::ZipMap),
}

impl Kernel {
    /// The kernel of operator `name` in `domain` (empty for `ai.onnx`) at the version that the model asks for;
    /// `None` when there is no such operator here.
    pub(super) fn of(
        domain: &str,
        name: &str,
        version: i64,
        attributes: &Attributes<'_>,
    ) -> Result<Option<Self>, String> {
        let kernel = match domain {
            ML_DOMAIN => Self::of_ml(name, version, attributes)?,
            "" => Self::of_plain(name, version, attributes)?,
            _ => None,
        };
        if kernel.is_some() {
            attributes.finish()?;
        }
        Ok(kernel)
    }

    fn of_ml(name: &str, version: i64, attributes: &Attributes<'_>) -> Result<Option<Self>, String> {
        Ok(Some(match name {
            "ArrayFeatureExtractor" => Self::ArrayFeatureExtractor,
            "Binarizer" => Self::Binarizer(features::Binarizer::of(attributes)?),
            "CategoryMapper" => {
                Self::LabelEncoder(Box::new(encoders::LabelEncoder::category_mapper(attributes)?))
            }
            "FeatureVectorizer" => Self::FeatureVectorizer(features::FeatureVectorizer::of(attributes)?),
            "Imputer" => Self::Imputer(features::Imputer::of(attributes)?),
            "LabelEncoder" => Self::LabelEncoder(Box::new(encoders::LabelEncoder::of(version, attributes)?)),
            "LinearClassifier" => Self::LinearClassifier(linear::Classifier::of(attributes)?),
            "LinearRegressor" => Self::LinearRegressor(linear::Regressor::of(attributes)?),
            "Normalizer" => Self::Normalizer(features::Norm::of(attributes)?),
            "OneHotEncoder" => Self::OneHotEncoder(encoders::OneHotEncoder::of(attributes)?),
            "Scaler" => Self::Scaler(features::Scaler::of(attributes)?),
            "SVMClassifier" => Self::SvmClassifier(Box::new(svm::Classifier::of(attributes)?)),
            "SVMRegressor" => Self::SvmRegressor(svm::Regressor::of(attributes)?),
            "TreeEnsemble" => Self::Ensemble(Box::new(trees::Ensemble::general(attributes)?)),
            "TreeEnsembleClassifier" => Self::Ensemble(Box::new(trees::Ensemble::classifier(attributes)?)),
            "TreeEnsembleRegressor" => Self::Ensemble(Box::new(trees::Ensemble::regressor(attributes)?)),
            "ZipMap" => Self::ZipMap(encoders::ZipMap::of(attributes)?),
            _ => return Ok(None),
        }))
    }

    fn of_plain(name: &str, version: i64, attributes: &Attributes<'_>) -> Result<Option<Self>, String> {
        let reduce = |reduction| reduce::Reduce::of(reduction, attributes).map(Self::Reduce);
        Ok(Some(match name {
            "Abs" => Self::Unary(Unary::Abs),
            "Add" => Self::Binary(Binary::Add),
            "And" => Self::Logic(Logic::And),
            "ArgMax" => Self::ArgExtreme(reduce::ArgExtreme::of(true, attributes)?),
            "ArgMin" => Self::ArgExtreme(reduce::ArgExtreme::of(false, attributes)?),
            "Cast" => Self::Cast(cast::Cast::of(attributes)?),
            "Ceil" => Self::Unary(Unary::Ceil),
            "Clip" => Self::Clip(Clip::of(attributes)?),
            "Concat" => Self::Concat { axis: attributes.int("axis")?.ok_or("attribute `axis` is missing")? },
            "Constant" => Self::Constant(shaping::constant(attributes)?),
            "ConstantOfShape" => Self::ConstantOfShape(shaping::ConstantOfShape::of(attributes)?),
            "CumSum" => Self::CumSum(reduce::CumSum::of(attributes)?),
            "Div" => Self::Binary(Binary::Div),
            "Equal" => Self::Comparison(Comparison::Equal),
            "Exp" => Self::Unary(Unary::Exp),
            "Expand" => Self::Expand,
            "Flatten" => Self::Flatten { axis: attributes.int_or("axis", 1)? },
            "Floor" => Self::Unary(Unary::Floor),
            "Gather" => Self::Gather { axis: attributes.int_or("axis", 0)? },
            "GatherElements" => Self::GatherElements { axis: attributes.int_or("axis", 0)? },
            "Gemm" => Self::Gemm(matrix::Gemm::of(attributes)?),
            "Greater" => Self::Comparison(Comparison::Greater),
            "GreaterOrEqual" => Self::Comparison(Comparison::GreaterOrEqual),
            "Identity" => Self::Identity,
            "IsNaN" => Self::IsNaN,
            "Less" => Self::Comparison(Comparison::Less),
            "LessOrEqual" => Self::Comparison(Comparison::LessOrEqual),
            "Log" => Self::Unary(Unary::Log),
            "LogSoftmax" => Self::Softmax(reduce::Softmax::of(version, true, attributes)?),
            "MatMul" => Self::MatMul,
            "Max" => Self::Variadic(Variadic::Max),
            "Mean" => Self::Variadic(Variadic::Mean),
            "Min" => Self::Variadic(Variadic::Min),
            "Mul" => Self::Binary(Binary::Mul),
            "Neg" => Self::Unary(Unary::Neg),
            "Not" => Self::Not,
            "Or" => Self::Logic(Logic::Or),
            "Pow" => Self::Pow,
            "Reciprocal" => Self::Unary(Unary::Reciprocal),
            "ReduceL1" => reduce(Reduction::L1)?,
            "ReduceL2" => reduce(Reduction::L2)?,
            "ReduceLogSum" => reduce(Reduction::LogSum)?,
            "ReduceLogSumExp" => reduce(Reduction::LogSumExp)?,
            "ReduceMax" => reduce(Reduction::Max)?,
            "ReduceMean" => reduce(Reduction::Mean)?,
            "ReduceMin" => reduce(Reduction::Min)?,
            "ReduceProd" => reduce(Reduction::Prod)?,
            "ReduceSum" => reduce(Reduction::Sum)?,
            "ReduceSumSquare" => reduce(Reduction::SumSquare)?,
            "Relu" => Self::Unary(Unary::Relu),
            "Reshape" => Self::Reshape(shaping::Reshape::of(attributes)?),
            "Round" => Self::Unary(Unary::Round),
            "Shape" => Self::Shape(shaping::Shape::of(attributes)?),
            "Sigmoid" => Self::Unary(Unary::Sigmoid),
            "Sign" => Self::Unary(Unary::Sign),
            "Slice" => Self::Slice(shaping::Slice::of(attributes)?),
            "Softmax" => Self::Softmax(reduce::Softmax::of(version, false, attributes)?),
            "Sqrt" => Self::Unary(Unary::Sqrt),
            "Squeeze" => Self::Squeeze { axes: shaping::axes_attribute(attributes)? },
            "Sub" => Self::Binary(Binary::Sub),
            "Sum" => Self::Variadic(Variadic::Sum),
            "Tanh" => Self::Unary(Unary::Tanh),
            "Tile" => Self::Tile,
            "TopK" => Self::TopK(reduce::TopK::of(attributes)?),
            "Transpose" => Self::Transpose { order: attributes.ints("perm")?.to_vec() },
            "Unsqueeze" => Self::Unsqueeze { axes: shaping::axes_attribute(attributes)? },
            "Where" => Self::Where,
            "Xor" => Self::Logic(Logic::Xor),
            _ => return Ok(None),
        }))
    }

    /// How many outputs the operator has at most.
    pub(super) fn outputs(&self) -> usize {
        match self {
            Self::LinearClassifier(_) | Self::SvmClassifier(_) | Self::TopK(_) => 2,
            Self::Ensemble(ensemble) => ensemble.outputs(),
            _ => 1,
        }
    }

    pub(super) fn run(&self, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
        match self {
            Self::ArgExtreme(kernel) => kernel.run(inputs),
            Self::ArrayFeatureExtractor => features::array_feature_extractor(inputs),
            Self::Binarizer(kernel) => kernel.run(inputs),
            Self::Binary(operator) => arithmetic::binary(*operator, inputs),
            Self::Cast(kernel) => kernel.run(inputs),
            Self::Clip(kernel) => kernel.run(inputs),
            Self::Comparison(comparison) => arithmetic::compare(*comparison, inputs),
            Self::Concat { axis } => shaping::concat(*axis, inputs),
            Self::Constant(tensor) => Ok(vec![tensor.clone().into()]),
            Self::ConstantOfShape(kernel) => kernel.run(inputs),
            Self::CumSum(kernel) => kernel.run(inputs),
            Self::Ensemble(kernel) => kernel.run(inputs),
            Self::Expand => shaping::expand(inputs),
            Self::FeatureVectorizer(kernel) => kernel.run(inputs),
            Self::Flatten { axis } => shaping::flatten(*axis, inputs),
            Self::Gather { axis } => shaping::gather(*axis, inputs),
            Self::GatherElements { axis } => shaping::gather_elements(*axis, inputs),
            Self::Gemm(kernel) => kernel.run(inputs),
            Self::Identity => match inputs.values.first() {
                Some(Some(value)) => Ok(vec![(*value).clone()]),
                _ => Err("input 0 is missing".into()),
            },
            Self::Imputer(kernel) => kernel.run(inputs),
            Self::IsNaN => arithmetic::is_nan(inputs),
            Self::LabelEncoder(kernel) => kernel.run(inputs),
            Self::LinearClassifier(kernel) => kernel.run(inputs),
            Self::LinearRegressor(kernel) => kernel.run(inputs),
            Self::Logic(operator) => arithmetic::logic(*operator, inputs),
            Self::MatMul => matrix::matmul(inputs),
            Self::Normalizer(kernel) => kernel.run(inputs),
            Self::Not => arithmetic::not(inputs),
            Self::OneHotEncoder(kernel) => kernel.run(inputs),
            Self::Pow => arithmetic::pow(inputs),
            Self::Reduce(kernel) => kernel.run(inputs),
            Self::Reshape(kernel) => kernel.run(inputs),
            Self::Scaler(kernel) => kernel.run(inputs),
            Self::Shape(kernel) => kernel.run(inputs),
            Self::Slice(kernel) => kernel.run(inputs),
            Self::Softmax(kernel) => kernel.run(inputs),
            Self::Squeeze { axes } => shaping::squeeze(axes, inputs),
            Self::SvmClassifier(kernel) => kernel.run(inputs),
            Self::SvmRegressor(kernel) => kernel.run(inputs),
            Self::Tile => shaping::tile(inputs),
            Self::TopK(kernel) => kernel.run(inputs),
            Self::Transpose { order } => shaping::transpose(order, inputs),
            Self::Unary(function) => arithmetic::unary(*function, inputs),
            Self::Unsqueeze { axes } => shaping::unsqueeze(axes, inputs),
            Self::Variadic(operator) => arithmetic::variadic(*operator, inputs),
            Self::Where => arithmetic::choose(inputs),
            Self::ZipMap(kernel) => kernel.run(inputs),
        }
    }
}
