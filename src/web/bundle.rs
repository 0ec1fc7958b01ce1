//! The page's ES modules as one file. Twenty small ones cost a browser more time than all that they do: it asks for six at once and
//! looks into each before it knows the next. Used by build.rs; what the modules may hold is what ours need, and all else is an error there:
//! named imports of neighbours, each on a line of its own; `export` before a function, class or `const`.

use std::fmt::Write as _;

/// Sources of the modules by file name; `entry` is what the page loads, `apart` a module that stays a file of its own, since the page loads it
/// before. Each of the others becomes a function's body, so that what it does not export stays its own; they run once each, those that
/// others import before them.
///
/// # Errors
/// What was found in which file, where it is not one of the forms that are known, names a file that is not there, or imports itself in the end.
pub fn bundle(modules: &[(String, String)], entry: &str, apart: &str) -> Result<String, String> {
    let mut bundle = Bundle { modules, apart, open: Vec::new(), done: Vec::new(), text: String::new() };
    bundle.add(entry)?;
    Ok(format!("import * as {} from \"./{apart}\";\n{}", namespace(apart), bundle.text))
}

struct Bundle<'a> {
    modules: &'a [(String, String)],
    apart: &'a str,
    /// Modules whose imports are being added.
    open: Vec<&'a str>,
    done: Vec<&'a str>,
    text: String,
}

impl<'a> Bundle<'a> {
    fn add(&mut self, file: &str) -> Result<(), String> {
        if self.done.contains(&file) || file == self.apart {
            return Ok(());
        }
        let known = self.modules.iter().find(|(name, _)| name == file);
        let (name, source) = known.ok_or_else(|| format!("{file} is imported and is not there"))?;
        if self.open.contains(&file) {
            return Err(format!("{file} imports itself: {} → {file}", self.open.join(" → ")));
        }
        self.open.push(name);
        for imported in imported_files(source) {
            self.add(imported)?;
        }
        self.open.pop();
        self.done.push(name);
        let (body, exports) =
            function_body(source).map_err(|line| format!("{file}: found {line:?}, expected a form that is known"))?;
        let name = namespace(file);
        writeln!(self.text, "const {name} = (() => {{\n{body}return {{ {} }};\n}})();", exports.join(", "))
            .map_err(|e| e.to_string())
    }
}

/// What holds a module's exports.
fn namespace(file: &str) -> String {
    format!("module_{}", file.trim_end_matches(".js"))
}

fn imported_files(source: &str) -> impl Iterator<Item = &str> {
    let imports = source.lines().filter(|line| line.starts_with("import "));
    imports.filter_map(|line| line.split_once(" from \"./")?.1.split('"').next())
}

/// The module without its imports and exports, which become constants and names; the line that is neither, where there is one.
fn function_body(source: &str) -> Result<(String, Vec<&str>), &str> {
    let (mut body, mut exports) = (String::with_capacity(source.len()), Vec::new());
    for line in source.lines() {
        if line.starts_with("import") {
            body.push_str(&import(line).ok_or(line)?);
        } else if let Some(exported) = line.strip_prefix("export ") {
            exports.push(exported_name(exported).ok_or(line)?);
            body.push_str(exported);
        } else {
            body.push_str(line);
        }
        body.push('\n');
    }
    Ok((body, exports))
}

/// `import { a, b as c } from "./file.js";` as a constant.
fn import(line: &str) -> Option<String> {
    let (names, file) = line.strip_prefix("import {")?.strip_suffix("\";")?.split_once("} from \"./")?;
    Some(format!("const {{{}}} = {};", names.replace(" as ", ": "), namespace(file)))
}

fn exported_name(exported: &str) -> Option<&str> {
    let kinds = ["async function ", "function ", "class ", "const "];
    let rest = kinds.iter().find_map(|kind| exported.strip_prefix(kind))?;
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    Some(&rest[..end]).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(modules: &[(&str, &str)]) -> Result<String, String> {
        let modules: Vec<_> = modules.iter().map(|(name, source)| ((*name).to_owned(), (*source).to_owned())).collect();
        bundle(&modules, "app.js", "early.js")
    }

    #[test]
    fn each_module_once_and_after_those_that_it_imports() {
        let text = of(&[
            ("app.js", "import { a as b } from \"./a.js\";\nimport { send } from \"./early.js\";\nimport { view } from \"./view.js\";\nb(send, view);\n"),
            ("a.js", "import { t } from \"./t.js\";\nconst own = 1;\nexport async function a() { return t + own; }\n"),
            ("t.js", "export const t = 2;\n"),
            ("view.js", "import { t } from \"./t.js\";\nexport class View {}\nexport function view() { return t; }\n"),
            ("early.js", "export const send = 1;\n"),
        ])
        .unwrap();
        assert_eq!(
            text,
            "import * as module_early from \"./early.js\";\n\
             const module_t = (() => {\nconst t = 2;\nreturn { t };\n})();\n\
             const module_a = (() => {\nconst { t } = module_t;\nconst own = 1;\nasync function a() { return t + own; }\nreturn { a };\n})();\n\
             const module_view = (() => {\nconst { t } = module_t;\nclass View {}\nfunction view() { return t; }\nreturn { View, view };\n})();\n\
             const module_app = (() => {\nconst { a: b } = module_a;\nconst { send } = module_early;\n\
             const { view } = module_view;\nb(send, view);\nreturn {  };\n})();\n"
        );
    }

    #[test]
    fn what_is_not_known_is_no_bundle() {
        for (source, reason) in [
            ("import { a } from \"./gone.js\";", "gone.js is imported and is not there"),
            (
                "import * as a from \"./early.js\";",
                "app.js: found \"import * as a from \\\"./early.js\\\";\", expected a form that is known",
            ),
            (
                "import { a } from \"three\";",
                "app.js: found \"import { a } from \\\"three\\\";\", expected a form that is known",
            ),
            ("export default 1;", "app.js: found \"export default 1;\", expected a form that is known"),
            ("export { a };", "app.js: found \"export { a };\", expected a form that is known"),
            ("export let a = 1;", "app.js: found \"export let a = 1;\", expected a form that is known"),
            ("import { a } from \"./app.js\";", "app.js imports itself: app.js → app.js"),
        ] {
            assert_eq!(of(&[("app.js", source)]).unwrap_err(), reason);
        }
    }
}
