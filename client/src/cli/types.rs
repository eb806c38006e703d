//! `greenroom types`: what there is to call.

use std::process::ExitCode;

use greenroom_actors::{Access, Constructor, Method, ObjectType};
use serde::Serialize;

use super::{Failure, Tool, output};

/// The words after `types`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct TypesCommand {
    /// Print JSON for programs.
    #[arg(long)]
    json: bool,
}

/// An object type, as `--json` shows it.
#[derive(Debug, Serialize)]
struct TypeReport {
    name: &'static str,
    /// The shape of the constructor's arguments; `null` if the type needs none.
    constructor: Option<String>,
    fingerprint: String,
    methods: Vec<MethodReport>,
}

/// A method, as `--json` shows it.
#[derive(Debug, Serialize)]
struct MethodReport {
    name: &'static str,
    access: &'static str,
    /// Whether a call may wait in the object.
    parks: bool,
    arguments: String,
    reply: String,
}

/// Lists the object types of the program.
pub(super) fn run(tool: &Tool, command: &TypesCommand) -> Result<ExitCode, Failure> {
    if command.json {
        output::json(&tool.registry.iter().map(TypeReport::of).collect::<Vec<_>>());
        return Ok(ExitCode::SUCCESS);
    }
    for object_type in tool.registry.iter() {
        output::line(object_type.name);
        if let Some(constructor) = constructor(object_type) {
            output::line(format_args!("  {constructor}"));
        }
        output::line(methods(object_type));
    }
    Ok(ExitCode::SUCCESS)
}

impl TypeReport {
    fn of(object_type: &'static ObjectType) -> Self {
        let constructor = match &object_type.constructor {
            Constructor::Default => None,
            Constructor::Arguments { arguments, .. } => Some(arguments()),
        };
        let fingerprint = format!("{:016x}", object_type.fingerprint());
        let methods = object_type.methods.iter().map(MethodReport::of).collect();
        Self { name: object_type.name, constructor, fingerprint, methods }
    }
}

impl MethodReport {
    fn of(method: &Method) -> Self {
        let access = match method.access() {
            Access::Read => "read",
            Access::Write => "write",
        };
        let (arguments, reply) = ((method.arguments)(), (method.reply)());
        Self { name: method.name, access, parks: method.parks, arguments, reply }
    }
}

/// The constructor as a person reads it: `new(u32)`.
pub(super) fn constructor(object_type: &ObjectType) -> Option<String> {
    match &object_type.constructor {
        Constructor::Default => None,
        Constructor::Arguments { arguments, .. } => Some(sentence("new", &arguments(), "()")),
    }
}

/// The method as a person reads it: `add(i64) -> i64`.
pub(super) fn signature(method: &Method) -> String {
    sentence(method.name, &(method.arguments)(), &(method.reply)())
}

/// All methods of a type, one a line, indented.
pub(super) fn methods(object_type: &ObjectType) -> String {
    let lines: Vec<_> = object_type.methods.iter().map(|method| format!("  {}", signature(method))).collect();
    lines.join("\n")
}

/// Joins two shapes, each perhaps with definitions after `where`.
fn sentence(name: &str, arguments: &str, reply: &str) -> String {
    const WHERE: &str = " where ";
    let split = |shape: &str| match shape.split_once(WHERE) {
        Some((shape, definitions)) => (shape.to_owned(), split_definitions(definitions)),
        None => (shape.to_owned(), Vec::new()),
    };
    let ((arguments, mut definitions), (reply, more)) = (split(arguments), split(reply));
    let unnamed: Vec<_> = more.into_iter().filter(|definition| !definitions.contains(definition)).collect();
    definitions.extend(unnamed);
    let mut text = format!("{name}{arguments}");
    if reply != "()" {
        text.push_str(" -> ");
        text.push_str(&reply);
    }
    if !definitions.is_empty() {
        text.push_str(WHERE);
        text.push_str(&definitions.join(", "));
    }
    text
}

/// Splits a list at the commas that stand outside of brackets.
fn split_definitions(list: &str) -> Vec<String> {
    let mut depth = 0_i32;
    let parts = list.split(|letter| {
        match letter {
            '(' | '{' | '[' | '<' => depth += 1,
            ')' | '}' | ']' | '>' => depth -= 1,
            _ => {}
        }
        letter == ',' && depth == 0
    });
    parts.map(|part| part.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_names_definitions_once_at_its_end() {
        assert_eq!(sentence("get", "()", "i64"), "get() -> i64");
        assert_eq!(sentence("set", "(i64)", "()"), "set(i64)");
        let point = "Point where Point { x: f64 }";
        assert_eq!(
            sentence("turn", "(Point) where Point { x: f64 }", point),
            "turn(Point) -> Point where Point { x: f64 }"
        );
        assert_eq!(sentence("see", "(u8)", point), "see(u8) -> Point where Point { x: f64 }");
        let both = sentence("sum", "(A, B) where A(u8, u8), B { x: f64, y: A }", "A where A(u8, u8)");
        assert_eq!(both, "sum(A, B) -> A where A(u8, u8), B { x: f64, y: A }");
    }
}
