//! HTML pages of charts.

use matraz_base::value::python_json;

use super::chart::{Chart, Drawing, Image};
use crate::{Error, Result};

/// The page that DVC writes: whoever reads it by program finds it as before. It loads its scripts from the net.
const DVC_PAGE: &str = include_str!("page/dvc.html");
const DVC_SCRIPTS: &str = include_str!("page/dvc-scripts.html");
/// The page of Matraz: everything is in it.
const OWN_PAGE: &str = include_str!("page/own.html");

/// The folder of pictures beside the page.
pub const PICTURES_FOLDER: &str = "static";

/// What a self-contained page carries.
#[derive(Clone, Copy, Debug)]
pub struct Assets<'a> {
    /// The script that draws.
    pub script: &'a str,
    /// How the page looks.
    pub style: &'a str,
}

/// The page as DVC writes it, or a page of the user with the same placeholders (`{plot_divs}`, `{scripts}`).
pub fn like_dvc(charts: &[Chart], template: Option<&str>) -> Result<String> {
    let template = template.unwrap_or(DVC_PAGE.trim_end_matches('\n'));
    let elements = in_order(charts).map(dvc_element).collect::<Result<Vec<_>>>()?;
    let has_vega = charts.iter().any(|chart| matches!(chart.drawing, Drawing::Vega(_)));
    compose(template, if has_vega { DVC_SCRIPTS } else { "" }, &elements.join("\n"))
}

/// A page that needs no network, or a page of the user with the same placeholders as DVC's.
pub fn self_contained(charts: &[Chart], template: Option<&str>, assets: Assets<'_>) -> Result<String> {
    let elements = in_order(charts).map(own_element).collect::<Result<Vec<_>>>()?;
    let scripts = format!(
        "<style>{}</style>\n<script>{}</script>",
        assets.style,
        assets.script.replace("</script", "<\\/script")
    );
    compose(template.unwrap_or(OWN_PAGE), &scripts, &elements.join("\n"))
}

fn compose(template: &str, scripts: &str, elements: &str) -> Result<String> {
    const PLOTS: &str = "{plot_divs}";
    if !template.contains(PLOTS) {
        return Err(Error::NoPlaceholder { placeholder: PLOTS });
    }
    Ok(template.replace("{scripts}", scripts).replace(PLOTS, elements).replace("{refresh_tag}", ""))
}

/// Charts first, then pictures: those of a folder together, numbered ones by number.
fn in_order(charts: &[Chart]) -> impl Iterator<Item = &Chart> {
    let mut sorted: Vec<&Chart> = charts.iter().collect();
    sorted.sort_by_cached_key(|chart| match &chart.drawing {
        Drawing::Vega(_) => None,
        Drawing::Pictures(_) => {
            let (folder, name) = chart.name.rsplit_once('/').unwrap_or(("", &chart.name));
            let number: Option<u64> = name.rsplit_once('.').map_or(name, |(stem, _)| stem).parse().ok();
            Some((folder.to_owned(), number, name.to_owned()))
        }
    });
    sorted.into_iter()
}

fn dvc_element(chart: &Chart) -> Result<String> {
    let id: String = chart
        .name
        .chars()
        .map(|c| if c == ' ' || (c.is_ascii_punctuation() && !"\"'-".contains(c)) { '_' } else { c })
        .collect();
    match &chart.drawing {
        Drawing::Vega(vega) => {
            let spec = in_script(&python_json(&vega.filled()?, false));
            Ok(format!(
                "\n    <div id = \"{id}\">\n        <script type = \"text/javascript\">\n            var spec = {spec};\n            \
                 vegaEmbed('#{id}', spec);\n        </script>\n    </div>\n    "
            ))
        }
        Drawing::Pictures(images) if images.is_empty() => Ok(String::new()),
        Drawing::Pictures(images) => {
            let mut parts = vec![format!("<p>{}</p>", escaped(&chart.name))];
            for image in images {
                parts.push(format!(
                    "\n                <div\n                    style=\"border:1px dotted black;margin:2px;display:\n                    \
                     inline-block;\n                    overflow:hidden;margin-left:8px;\">\n                    \
                     <p>{}</p>\n                    <img src=\"{}\">\n                </div>\n                ",
                    escaped(&image.revision),
                    escaped(&encoded(&source(image))),
                ));
            }
            Ok(format!(
                "\n        <div\n            id=\"{id}\"\n            style=\"border:1px solid black;text-align:center;\n            \
                 white-space: nowrap;overflow-y:hidden;\">\n            {}\n        </div>",
                parts.join("\n")
            ))
        }
    }
}

fn source(image: &Image) -> String {
    format!("{PICTURES_FOLDER}/{}", image.file_name())
}

fn own_element(chart: &Chart) -> Result<String> {
    let name = escaped(&chart.name);
    match &chart.drawing {
        Drawing::Vega(vega) if vega.rows.is_empty() => Ok(format!(
            "<section class=\"plot empty\"><h2>{name}</h2><p>There are no data to draw.</p></section>"
        )),
        Drawing::Vega(vega) => {
            let spec = in_script(&python_json(&vega.filled()?, false));
            let name = escaped(&vega.title);
            Ok(format!(
                "<section class=\"plot\"><h2>{name}</h2><div class=\"chart\"></div>\
                 <script type=\"application/json\">{spec}</script></section>"
            ))
        }
        Drawing::Pictures(images) => {
            let figure = |image: &Image| {
                format!(
                    "<figure><img src=\"{}\" alt=\"{name}\"><figcaption>{}</figcaption></figure>",
                    escaped(&encoded(&source(image))),
                    escaped(&image.revision)
                )
            };
            let figures: String = images.iter().map(figure).collect();
            Ok(format!(
                "<section class=\"plot pictures\"><h2>{name}</h2><div class=\"row\">{figures}</div></section>"
            ))
        }
    }
}

/// JSON that stands inside a `<script>`: data of the project cannot end the script.
fn in_script(json: &str) -> String {
    json.replace('<', "\\u003c")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A path as a part of an address.
fn encoded(path: &str) -> String {
    path.replace('%', "%25").replace('#', "%23").replace('?', "%3F")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_cannot_end_the_script() {
        assert_eq!(in_script("{\"a\": \"</script><b>\"}"), "{\"a\": \"\\u003c/script>\\u003cb>\"}");
    }
}
