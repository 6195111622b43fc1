//! A text in CEL → an expression all of whose names are known; an expression and what `self` and `oldSelf` are → its value.
//!
//! Whether its types fit is `typing`'s matter; where they don't, it has no value.

use kube_cel::cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, operators};
use kube_cel::cel::parser::Parser;
use kube_cel::cel::{ExecutionError, Value};

use super::library::{ALL, EXISTS, ITEMS, LIBRARY, PICK, TYPES, has_function};

/// An expression that makes sense.
#[derive(Debug)]
pub(super) struct Expression {
    pub(super) tree: IdedExpr,
    /// Whether `oldSelf` is in it.
    pub(super) names_old: bool,
}

impl Expression {
    /// An expression from its text, or why it is none.
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        let parser = Parser::new().enable_optional_syntax(true);
        let tree = parser.parse(text).map_err(|errors| errors.to_string())?;
        let mut this = Self { tree, names_old: false };
        let mut names: Vec<String> = ["self", "oldSelf"].into_iter().chain(TYPES).map(str::to_owned).collect();
        adapt(&mut this.tree, &mut names, &mut this.names_old)?;
        Ok(this)
    }

    /// Its value, or why it has none, in the words of the real server.
    pub(super) fn evaluate(&self, this: &Value, old: Option<Value>) -> Result<Value, String> {
        let mut scope = LIBRARY.new_inner_scope();
        scope.add_variable_from_value("self", this.clone());
        if let Some(old) = old {
            scope.add_variable_from_value("oldSelf", old);
        }
        Value::resolve(&self.tree, &scope).map_err(|error| told(&error))
    }
}

fn told(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
        ExecutionError::IndexOutOfBounds(Value::Int(index)) => format!("index out of bounds: {index}"),
        ExecutionError::DivisionByZero(_) => "division by zero".to_owned(),
        ExecutionError::RemainderByZero(_) => "modulus by zero".to_owned(),
        ExecutionError::Overflow(..) => "integer overflow".to_owned(),
        ExecutionError::UndeclaredReference(name) => format!("no such attribute(s): {name}"),
        ExecutionError::FunctionError { message, .. } => message.clone(),
        ExecutionError::NoSuchOverload
        | ExecutionError::UnexpectedType { .. }
        | ExecutionError::UnsupportedTargetType { .. }
        | ExecutionError::UnsupportedBinaryOperator(..)
        | ExecutionError::UnsupportedUnaryOperator(..)
        | ExecutionError::ValuesNotComparable(..) => "no such overload".to_owned(),
        other => other.to_string(),
    }
}

/// Refuses names that nothing has, and puts functions of `library` in the place of what the interpreter takes otherwise than
/// the real server.
fn adapt(node: &mut IdedExpr, names: &mut Vec<String>, names_old: &mut bool) -> Result<(), String> {
    match &mut node.expr {
        Expr::Literal(_) => {}
        Expr::Ident(name) => {
            if !name.starts_with('@') && !names.contains(name) {
                return Err(undeclared(name));
            }
            *names_old |= name == "oldSelf";
        }
        Expr::Select(select) => adapt(&mut select.operand, names, names_old)?,
        Expr::List(list) => {
            for element in &mut list.elements {
                adapt(element, names, names_old)?;
            }
        }
        Expr::Map(map) => {
            for entry in &mut map.entries {
                let EntryExpr::MapEntry(entry) = &mut entry.expr else { return Err(undeclared("a message")) };
                adapt(&mut entry.key, names, names_old)?;
                adapt(&mut entry.value, names, names_old)?;
            }
        }
        Expr::Call(call) => adapt_call(call, names, names_old)?,
        Expr::Comprehension(comprehension) => {
            adapt(&mut comprehension.iter_range, names, names_old)?;
            let range = call(ITEMS, vec![std::mem::take(&mut comprehension.iter_range)]);
            comprehension.iter_range = range;
            names.push(comprehension.iter_var.clone());
            for part in [&mut comprehension.accu_init, &mut comprehension.loop_step, &mut comprehension.result] {
                adapt(part, names, names_old)?;
            }
            names.pop();
            let settles = |call: &CallExpr| match call.func_name.as_str() {
                operators::LOGICAL_AND => Some(ALL),
                operators::LOGICAL_OR => Some(EXISTS),
                _ => None,
            };
            if let Expr::Call(step) = &mut comprehension.loop_step.expr
                && let Some(function) = settles(step)
                && let Some(predicate) = step.args.pop()
            {
                let name = IdedExpr { id: 0, expr: Expr::Ident(comprehension.iter_var.clone()) };
                *node = call(function, vec![std::mem::take(&mut comprehension.iter_range), name, predicate]);
            }
        }
        Expr::Struct(message) => return Err(undeclared(&message.type_name)),
        Expr::Unspecified => return Err("there is nothing in it".to_owned()),
    }
    Ok(())
}

fn adapt_call(call: &mut CallExpr, names: &mut Vec<String>, names_old: &mut bool) -> Result<(), String> {
    for argument in &mut call.args {
        adapt(argument, names, names_old)?;
    }
    if let Some(target) = &mut call.target {
        // What looks like a method may be a function of a library, such as `math.least`.
        if let Expr::Ident(library) = &target.expr
            && !names.contains(library)
            && has_function(&format!("{library}.{}", call.func_name))
        {
            return Ok(());
        }
        adapt(target, names, names_old)?;
    }
    if matches!(call.func_name.as_str(), operators::OPT_SELECT | operators::OPT_INDEX) {
        PICK.clone_into(&mut call.func_name);
    }
    // An operator's name has signs in it that none of a function's has.
    let is_operator = call.func_name.contains(|sign: char| !sign.is_alphanumeric() && sign != '_');
    if is_operator || has_function(&call.func_name) { Ok(()) } else { Err(undeclared(&call.func_name)) }
}

fn undeclared(name: &str) -> String {
    format!("undeclared reference to '{name}', or not known to the simulator")
}

fn call(function: &str, args: Vec<IdedExpr>) -> IdedExpr {
    IdedExpr { id: 0, expr: Expr::Call(CallExpr { func_name: function.to_owned(), target: None, args }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Result<Value, String> {
        Expression::compile(text)?.evaluate(&1.into(), None)
    }

    #[test]
    fn an_item_that_decides_makes_up_for_one_without_a_value() {
        assert_eq!(value("[0, 1].exists(x, 1 / x == 1)"), Ok(true.into()));
        assert_eq!(value("[0, 1].all(x, 1 / x == 2)"), Ok(false.into()));
        assert_eq!(value("[0, 1].all(x, 1 / x == 1)"), Err("division by zero".to_owned()));
    }

    #[test]
    fn a_map_is_gone_over_in_the_order_of_its_keys() {
        let map = "{'e': 1, 'd': 1, 'c': 1, 'b': 1, 'a': 1}";
        assert_eq!(
            value(&format!("{map}.map(k, k).join('') + {map}.filter(k, k > 'c').join('')")),
            Ok("abcdede".into())
        );
    }

    #[test]
    fn an_optional_field_is_none_where_it_is_absent_at_any_depth() {
        let map = "{'a': {'b': 1}, 'l': [2]}";
        for (path, expected) in
            [("?a.?b", 1), ("?a.?c", 0), ("?d.?b", 0), ("?a.?b.or(optional.of(3))", 1), ("?l[?0]", 2), ("?l[?1]", 0)]
        {
            assert_eq!(value(&format!("{map}.{path}.orValue(0)")), Ok(expected.into()), "{path}");
        }
    }

    #[test]
    fn the_size_of_a_text_is_that_of_its_characters() {
        assert_eq!(value("'äö'.size() + size('ü')"), Ok(3.into()));
    }

    #[test]
    fn a_value_has_a_type() {
        assert_eq!(value("type(self) == int && type('') == string"), Ok(true.into()));
    }

    #[test]
    fn what_nothing_has_the_name_of_is_no_expression() {
        for text in ["other", "self.map(x, y)", "nothing()", "self.nothing()", "math.nothing(1)", "A{b: 1}", "1 +"] {
            assert!(Expression::compile(text).is_err(), "{text}");
        }
    }
}
