//! Charts: the plots of several moments over one another, and their Vega-Lite specifications.

use std::path::Path;

use indexmap::IndexMap;
use matraz_base::{Map, Value};

use super::collect::{Definitions, Moment, Source, files_of, full_id};
use super::is_picture;
use super::points::{Axes, points};
use super::template::{DEFAULT, Template, map};
use crate::{Error, Result};

/// A chart, or a set of pictures.
#[derive(Debug)]
pub struct Chart {
    /// What it is called.
    pub name: String,
    /// What it shows.
    pub drawing: Drawing,
    /// Files that could not be read: the revision, and the path under which [`Moment::sources`] has the error.
    pub unread: Vec<(String, String)>,
    /// Revisions whose data do not fit the definition.
    pub unfit: Vec<(String, Error)>,
}

/// What a chart shows.
#[derive(Debug)]
pub enum Drawing {
    /// Points in a specification.
    Vega(Box<Vega>),
    /// Pictures.
    Pictures(Vec<Image>),
}

/// A picture of one revision.
#[derive(Debug)]
pub struct Image {
    /// The revision.
    pub revision: String,
    /// The path that the definition has.
    pub file: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Image {
    /// The name under which it is kept beside the pictures of other revisions.
    pub fn file_name(&self) -> String {
        format!("{}_{}", self.revision, self.file).replace('/', "_")
    }
}

/// Points and the template that draws them.
#[derive(Debug)]
pub struct Vega {
    /// The points, revision by revision.
    pub rows: Vec<Map>,
    /// The revisions that have points.
    pub revisions: Vec<String>,
    /// The heading.
    pub title: String,
    axes: Option<Axes>,
    template: Template,
}

/// What a split specification leaves out, to be filled in by who draws it.
const SPLIT: [&str; 11] = [
    "color",
    "data",
    "plot_height",
    "plot_width",
    "shape",
    "stroke_dash",
    "title",
    "tooltip",
    "x_label",
    "y_label",
    "zoom_and_pan",
];

/// The anchors that a template may have or not.
const OPTIONAL: [&str; 13] = [
    "color",
    "column",
    "group_by_x",
    "group_by_y",
    "group_by",
    "pivot_field",
    "plot_height",
    "plot_width",
    "row",
    "shape",
    "stroke_dash",
    "tooltip",
    "zoom_and_pan",
];

/// The colours of revisions.
const COLOURS: [&str; 7] = ["#945dd6", "#13adc7", "#f46837", "#48bb78", "#4299e1", "#ed8936", "#f56565"];
/// The dashes of series.
const DASHES: [[i64; 2]; 7] = [[1, 0], [8, 8], [8, 4], [4, 4], [4, 2], [2, 1], [1, 1]];
/// The shapes of series.
const SHAPES: [&str; 4] = ["circle", "square", "triangle", "diamond"];

/// Lays the plots of several moments over one another. `templates` is the project's folder of templates.
pub fn charts(moments: &[Moment], templates: Option<&Path>, cwd: &Path) -> Result<Vec<Chart>> {
    let mut groups: IndexMap<String, Vec<(&Moment, &str, &Map)>> = IndexMap::new();
    for moment in moments {
        let Ok(definitions) = &moment.definitions else { continue };
        for (name, id, props) in named(definitions) {
            groups.entry(name).or_default().push((moment, id, props));
        }
    }
    let chart = |(name, group): (String, Vec<_>)| chart(name, &group, templates, cwd);
    groups.into_iter().map(chart).collect()
}

/// The plots of a moment by name; the file goes before names that several files have.
fn named(definitions: &IndexMap<String, Definitions>) -> Vec<(String, &str, &Map)> {
    let mut by_id: IndexMap<&str, Vec<(&str, &Map)>> = IndexMap::new();
    for (file, found) in definitions {
        for (id, props) in &found.plots {
            by_id.entry(id).or_default().push((file, props));
        }
    }
    let mut plots = Vec::new();
    for (id, files) in by_id {
        let alone = files.len() == 1;
        for (file, props) in files {
            plots.push((if alone { id.to_owned() } else { full_id(file, id) }, id, props));
        }
    }
    plots
}

fn chart(
    name: String,
    group: &[(&Moment, &str, &Map)],
    templates: Option<&Path>,
    cwd: &Path,
) -> Result<Chart> {
    // What the first moment says goes before what later ones say.
    let mut props = Map::new();
    for (_, _, own) in group.iter().rev() {
        props.extend(own.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    let (mut unread, mut unfit) = (Vec::new(), Vec::new());
    let (mut rows, mut revisions, mut images) = (Vec::new(), Vec::new(), Vec::new());
    let mut axes = None;
    let mut shown = name.clone();
    let mut pictures = false;
    for (moment, id, own) in group {
        let mut contents: IndexMap<&str, &Source> = IndexMap::new();
        let files = files_of(id, own);
        for file in &files {
            match moment.sources.get(file) {
                Some(Ok(source)) if !is_nothing(source) => {
                    contents.insert(file, source);
                }
                Some(Err(_)) => unread.push((moment.revision.clone(), file.clone())),
                _ => {}
            }
        }
        pictures = is_picture(id);
        if pictures {
            shown = (*id).to_owned();
            for (file, source) in contents {
                if let Source::Picture(bytes) = source {
                    let (revision, file) = (moment.revision.clone(), file.to_owned());
                    images.push(Image { revision, file, bytes: bytes.clone() });
                }
            }
            continue;
        }
        match points(id, &props, &contents, &moment.revision) {
            Ok(Some(mut points)) => {
                if !revisions.contains(&moment.revision) {
                    revisions.push(moment.revision.clone());
                }
                axes.get_or_insert(points.axes);
                rows.append(&mut points.rows);
            }
            Ok(None) => {}
            Err(error) => unfit.push((moment.revision.clone(), error)),
        }
    }
    if pictures {
        return Ok(Chart { name: shown, drawing: Drawing::Pictures(images), unread, unfit });
    }
    let text = |key: &str| props.get(key).and_then(Value::as_str).filter(|_| axes.is_some());
    let template = Template::find(text("template").unwrap_or(DEFAULT), templates, cwd)?;
    let title = text("title").unwrap_or(&name).to_owned();
    let vega = Vega { rows, revisions, axes, title, template };
    Ok(Chart { name, drawing: Drawing::Vega(Box::new(vega)), unread, unfit })
}

fn is_nothing(source: &Source) -> bool {
    match source {
        Source::Picture(bytes) => bytes.is_empty(),
        Source::Values(value) => match value {
            Value::Null | Value::Bool(false) | Value::Int(0) => true,
            Value::List(items) => items.is_empty(),
            Value::Map(map) => map.is_empty(),
            Value::Str(text) => text.is_empty(),
            Value::Float(x) => *x == 0.0,
            _ => false,
        },
    }
}

impl Vega {
    /// The whole specification; an empty mapping when there is nothing to draw.
    pub fn filled(&self) -> Result<Value> {
        Ok(self.fill(&[])?.0)
    }

    /// The specification without what differs between drawings of it, and that by anchor.
    pub fn split(&self) -> Result<(Value, Map)> {
        self.fill(&SPLIT)
    }

    fn fill(&self, apart: &[&str]) -> Result<(Value, Map)> {
        let Some(axes) = &self.axes else { return Ok((Value::Map(Map::new()), Map::new())) };
        for column in [&axes.x, &axes.y] {
            if !self.rows.iter().any(|row| row.contains_key(column)) {
                return Err(Error::NoPlotField { column: column.clone() });
            }
        }
        let mut filling = Filling { template: self.template.clone(), apart, split: Map::new() };
        let mut open: Vec<&str> = OPTIONAL.into_iter().filter(|name| filling.template.has(name)).collect();
        let mut rows = self.rows.clone();
        if !open.is_empty() {
            let varied = filling.optional(&mut open, axes, &self.revisions)?;
            name_series(&mut rows, &varied);
        }
        let text = |text: &str| Value::Str(text.to_owned());
        filling.put("title", text(&self.title));
        filling.put("x", Value::Str(escaped(&axes.x)));
        filling.put("y", Value::Str(escaped(&axes.y)));
        filling.put("x_label", text(&axes.x_label));
        filling.put("y_label", text(&axes.y_label));
        if !apart.contains(&"data") && !filling.template.has("data") {
            let reason = format!("it does not use the anchor '{}'", Template::anchor("data"));
            return Err(Error::BadTemplate { name: self.template.name.clone(), reason });
        }
        filling.put("data", Value::List(rows.into_iter().map(Value::Map).collect()));
        Ok((filling.template.content, filling.split))
    }
}

/// Vega reads `.`, `[` and `]` in the names of fields as a path.
fn escaped(column: &str) -> String {
    column.replace('.', "\\.").replace('[', "\\[").replace(']', "\\]")
}

struct Filling<'f> {
    template: Template,
    apart: &'f [&'f str],
    split: Map,
}

impl Filling<'_> {
    fn put(&mut self, name: &str, value: Value) {
        if self.apart.contains(&name) {
            self.split.insert(Template::anchor(name), value);
        } else {
            self.template.fill(name, &value);
        }
    }

    /// Fills the optional anchors that the template has. Gives the keys (`filename`, `field`) by which series differ.
    fn optional(
        &mut self,
        open: &mut Vec<&str>,
        axes: &Axes,
        revisions: &[String],
    ) -> Result<Vec<&'static str>> {
        let mut put = |name: &'static str, value: Value| {
            if open.contains(&name) {
                open.retain(|other| *other != name);
                self.put(name, value);
            }
        };
        let text = |text: &str| Value::Str(text.to_owned());
        put("color", encoding("rev", "color", revisions));
        put(
            "zoom_and_pan",
            map([("name", text("grid")), ("select", text("interval")), ("bind", text("scales"))]),
        );
        put("plot_height", Value::Int(300));
        put("plot_width", Value::Int(300));
        let varied = if axes.series.len() > 1 { varied(&axes.series)? } else { Vec::new() };
        let joined = varied.join("::");
        let field = |name: &str| map([("field", text(name))]);
        let mut group = vec![text("rev")];
        let mut tooltip = vec![field("rev"), field(&axes.x), field(&axes.y)];
        let mut pivot = "datum.rev".to_owned();
        if !varied.is_empty() {
            group.push(text(&joined));
            tooltip.push(field(&joined));
            for key in &varied {
                pivot.push_str(&format!(" + '::' + datum.{key}"));
            }
        }
        let with = |column: &str| Value::List(group.iter().cloned().chain([text(column)]).collect());
        put("group_by", Value::List(group.clone()));
        put("group_by_x", with(&axes.x));
        put("group_by_y", with(&axes.y));
        put("pivot_field", Value::Str(pivot));
        if varied.is_empty() {
            put("tooltip", Value::List(tooltip));
            for name in open.drain(..) {
                self.template.fill(name, &Value::Map(Map::new()));
            }
            return Ok(varied);
        }
        let facet = map([("field", text(&joined)), ("sort", Value::List(Vec::new()))]);
        put("row", facet.clone());
        put("column", facet);
        put("tooltip", Value::List(tooltip));
        let domain = domain(&axes.series, &varied);
        put("stroke_dash", encoding(&joined, "stroke_dash", &domain));
        put("shape", encoding(&joined, "shape", &domain));
        Ok(varied)
    }
}

/// By which keys the series of a chart differ.
fn varied(series: &[(String, String)]) -> Result<Vec<&'static str>> {
    let mut keys = Vec::new();
    if series.iter().any(|(file, _)| *file != series[0].0) {
        keys.push("filename");
    }
    if series.iter().any(|(_, field)| *field != series[0].1) {
        keys.push("field");
    }
    if keys.is_empty() {
        return Err(Error::PlotSameSeries { column: series[0].1.clone() });
    }
    Ok(keys)
}

fn domain(series: &[(String, String)], varied: &[&str]) -> Vec<String> {
    let name = |(file, field): &(String, String)| match varied {
        ["filename"] => file.clone(),
        ["field"] => field.clone(),
        _ => format!("{file}::{field}"),
    };
    let mut names: Vec<String> = series.iter().map(name).collect();
    names.sort();
    names.dedup();
    names
}

fn encoding(field: &str, name: &str, domain: &[String]) -> Value {
    let mark = |n: usize| match name {
        "color" => Value::Str(COLOURS[n % COLOURS.len()].into()),
        "shape" => Value::Str(SHAPES[n % SHAPES.len()].into()),
        _ => Value::List(DASHES[n % DASHES.len()].into_iter().map(Value::Int).collect()),
    };
    let scale = map([
        ("domain", Value::List(domain.iter().cloned().map(Value::Str).collect())),
        ("range", Value::List((0..domain.len()).map(mark).collect())),
    ]);
    let mut encoding = map([("field", Value::Str(field.to_owned())), ("scale", scale)]);
    if let (Value::Map(entries), true) = (&mut encoding, name != "color") {
        let hollow = [("symbolFillColor", "transparent"), ("symbolStrokeColor", "grey")];
        entries.insert("legend".into(), map(hollow.map(|(key, value)| (key, Value::Str(value.into())))));
    }
    encoding
}

/// Rows keep only what tells their series apart, as one value.
fn name_series(rows: &mut [Map], varied: &[&str]) {
    for row in rows {
        if varied.len() == 2 {
            let parts: Vec<String> =
                varied.iter().filter_map(|key| row.get(*key)).map(Value::to_string).collect();
            row.insert(varied.join("::"), Value::Str(parts.join("::")));
        }
        for key in ["filename", "field"] {
            if varied.len() == 2 || !varied.contains(&key) {
                row.shift_remove(key);
            }
        }
    }
}
