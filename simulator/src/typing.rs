//! A rule and the schema that it is about → whether its types can be right.
//!
//! What is found wrong here is wrong to the real server as well. Of much that its compiler knows, nothing is known here, and
//! held for right: functions are not looked at but for the common ones, and all numbers are alike.

use kube_cel::cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};

use crate::rule::{ALL, EXISTS, ITEMS, PICK, Problem, Rule};
use crate::schema::{Schema, Shape};
use crate::term;

/// What is known of a value.
#[derive(Debug, Clone, PartialEq)]
enum Type<'s> {
    /// Nothing.
    Any,
    Bool,
    Number,
    String,
    Bytes,
    Time,
    Duration,
    List(Box<Type<'s>>),
    Map(Box<Type<'s>>),
    Optional(Box<Type<'s>>),
    /// An object with named fields.
    Object(Fields<'s>),
}

/// The fields of an object.
#[derive(Debug, Clone, Copy)]
enum Fields<'s> {
    /// As a schema has them.
    Of(&'s Schema),
    /// Those of a whole object, of whose metadata little is seen.
    Whole(&'s Schema),
    /// Those of its metadata.
    Metadata,
}

impl PartialEq for Fields<'_> {
    /// Objects of different schemas are rarely compared, and never refused.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

type Typed<'s> = Result<Type<'s>, String>;

/// The names that are known, with their types.
type Scope<'s> = Vec<(String, Type<'s>)>;

/// Whether a rule can be right about values of a schema; `is_whole` if that is a whole object's.
///
/// # Errors
///
/// If it can't.
pub fn check(rule: &Rule, schema: &Schema, is_whole: bool) -> Result<(), Problem> {
    let this = if is_whole { Type::Object(Fields::Whole(schema)) } else { of(schema) };
    let old = if rule.is_optional { Type::Optional(Box::new(this.clone())) } else { this.clone() };
    let mut scope = vec![("self".to_owned(), this), ("oldSelf".to_owned(), old)];
    match type_of(rule.expression(), &mut scope).map_err(Problem::Rule)? {
        Type::Any | Type::Bool => {}
        _ => return Err(Problem::NoTruth),
    }
    let message = rule.message_expression().map(|message| type_of(message, &mut scope)).transpose();
    match message.map_err(Problem::Message)? {
        None | Some(Type::Any | Type::String) => Ok(()),
        Some(_) => Err(Problem::NoText),
    }
}

/// The type of the values of a schema.
fn of(schema: &Schema) -> Type<'_> {
    let word = |name: &str| schema.text[name].as_str().unwrap_or_default();
    match &schema.shape {
        Shape::Map { fields, .. } if !fields.is_empty() => Type::Object(Fields::Of(schema)),
        Shape::Map { others: Some(others), .. } if others.text.is_object() => Type::Map(Box::new(of(others))),
        Shape::List { items, .. } => Type::List(Box::new(of(items))),
        Shape::Scalar if schema.text["x-kubernetes-int-or-string"] == true => Type::Any,
        Shape::Scalar => match (word("type"), word("format")) {
            ("boolean", _) => Type::Bool,
            ("integer" | "number", _) => Type::Number,
            ("string", "date" | "date-time") => Type::Time,
            ("string", "duration") => Type::Duration,
            ("string", "byte") => Type::Bytes,
            ("string", _) => Type::String,
            _ => Type::Any,
        },
        Shape::Map { .. } | Shape::Any => Type::Any,
    }
}

fn type_of<'s>(node: &IdedExpr, scope: &mut Scope<'s>) -> Typed<'s> {
    match &node.expr {
        Expr::Literal(literal) => Ok(match literal {
            LiteralValue::Boolean(_) => Type::Bool,
            LiteralValue::Bytes(_) => Type::Bytes,
            LiteralValue::Double(_) | LiteralValue::Int(_) | LiteralValue::UInt(_) => Type::Number,
            LiteralValue::String(_) => Type::String,
            LiteralValue::Null => Type::Any,
        }),
        Expr::Ident(name) => {
            let known = scope.iter().rev().find(|(known, _)| known == name);
            Ok(known.map_or(Type::Any, |(_, known)| known.clone()))
        }
        Expr::Select(select) => {
            let found = field(type_of(&select.operand, scope)?, &select.field)?;
            Ok(if select.test { Type::Bool } else { found })
        }
        Expr::List(list) => {
            let items = list.elements.iter().map(|item| type_of(item, scope)).collect::<Result<Vec<_>, _>>()?;
            let same = items.first().filter(|first| items.iter().all(|item| item == *first));
            Ok(Type::List(Box::new(same.cloned().unwrap_or(Type::Any))))
        }
        Expr::Map(map) => {
            for entry in &map.entries {
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    type_of(&entry.key, scope)?;
                    type_of(&entry.value, scope)?;
                }
            }
            Ok(Type::Map(Box::new(Type::Any)))
        }
        Expr::Call(call) => type_of_call(call, scope),
        Expr::Comprehension(comprehension) => type_of_macro(comprehension, scope),
        Expr::Struct(_) | Expr::Unspecified => Ok(Type::Any),
    }
}

/// The type of a field of something.
fn field<'s>(of_what: Type<'s>, name: &str) -> Typed<'s> {
    let undefined = || Err(format!("undefined field '{name}'"));
    let inner = |schema: &'s Schema| match &schema.shape {
        Shape::Map { fields, .. } => fields.iter().find(|(field, _)| term::escaped(field).as_deref() == Some(name)),
        _ => None,
    };
    match of_what {
        Type::Object(Fields::Whole(_)) if name == "metadata" => Ok(Type::Object(Fields::Metadata)),
        Type::Object(Fields::Whole(_)) if matches!(name, "apiVersion" | "kind") => Ok(Type::String),
        Type::Object(Fields::Whole(schema) | Fields::Of(schema)) => {
            inner(schema).map_or_else(undefined, |(_, field)| Ok(of(field)))
        }
        Type::Object(Fields::Metadata) if matches!(name, "name" | "generateName") => Ok(Type::String),
        Type::Object(Fields::Metadata) => undefined(),
        Type::Map(inner) => Ok(*inner),
        Type::Any | Type::Optional(_) => Ok(Type::Any),
        _ => Err(format!("what has no fields has no '{name}'")),
    }
}

fn type_of_call<'s>(call: &CallExpr, scope: &mut Scope<'s>) -> Typed<'s> {
    let function = call.func_name.as_str();
    if let (ALL | EXISTS, [range, name, predicate]) = (function, call.args.as_slice()) {
        let items = item_of(&type_of(range, scope)?);
        if let Expr::Ident(name) = &name.expr {
            scope.push((name.clone(), items));
        }
        let truth = type_of(predicate, scope)?;
        scope.pop();
        return expect(&Type::Bool, &truth, function);
    }
    let target = call.target.as_ref().map(|target| type_of(target, scope)).transpose()?;
    let arguments = call.args.iter().map(|argument| type_of(argument, scope)).collect::<Result<Vec<_>, _>>()?;
    let first = target.as_ref().or(arguments.first()).cloned().unwrap_or(Type::Any);
    match (function, arguments.as_slice()) {
        (operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT, operands) => {
            operands.iter().try_for_each(|operand| expect(&Type::Bool, operand, function).map(drop))?;
            Ok(Type::Bool)
        }
        (operators::CONDITIONAL, [condition, yes, no]) => {
            expect(&Type::Bool, condition, function)?;
            Ok(if yes == no { yes.clone() } else { Type::Any })
        }
        (
            operators::EQUALS
            | operators::NOT_EQUALS
            | operators::LESS
            | operators::LESS_EQUALS
            | operators::GREATER
            | operators::GREATER_EQUALS,
            [left, right],
        ) => {
            expect(left, right, function)?;
            Ok(Type::Bool)
        }
        (operators::ADD | operators::SUBSTRACT, [Type::Time | Type::Duration, _]) => Ok(Type::Any),
        (
            operators::ADD | operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE | operators::MODULO,
            [left, right],
        ) => expect(left, right, function),
        (operators::INDEX, [Type::List(inner) | Type::Map(inner), _]) => Ok((**inner).clone()),
        (operators::IN, _) => Ok(Type::Bool),
        (PICK, [Type::Object(_), _]) => match &call.args[1].expr {
            Expr::Literal(LiteralValue::String(name)) => Ok(Type::Optional(Box::new(field(first, name.inner())?))),
            _ => Ok(Type::Any),
        },
        (ITEMS, [range]) => Ok(Type::List(Box::new(item_of(range)))),
        ("hasValue" | "value" | "orValue" | "or", _) if !matches!(first, Type::Any | Type::Optional(_)) => {
            Err(no_overload(function))
        }
        ("contains" | "endsWith" | "hasValue" | "matches" | "startsWith", _) => Ok(Type::Bool),
        ("size" | "int" | "double", _) => Ok(Type::Number),
        ("format" | "join" | "lowerAscii" | "replace" | "string" | "substring" | "trim" | "upperAscii", _) => {
            Ok(Type::String)
        }
        _ => Ok(Type::Any),
    }
}

/// `map`, `filter`, `exists_one`.
fn type_of_macro<'s>(comprehension: &ComprehensionExpr, scope: &mut Scope<'s>) -> Typed<'s> {
    let range = type_of(&comprehension.iter_range, scope)?;
    scope.push((comprehension.iter_var.clone(), item_of(&range)));
    let step = type_of(&comprehension.loop_step, scope);
    scope.pop();
    step?;
    Ok(match &comprehension.accu_init.expr {
        Expr::List(_) => Type::List(Box::new(Type::Any)),
        _ => Type::Bool,
    })
}

/// The type of what a macro goes over.
fn item_of<'s>(range: &Type<'s>) -> Type<'s> {
    match range {
        Type::List(inner) => (**inner).clone(),
        Type::Map(_) => Type::String,
        _ => Type::Any,
    }
}

/// The type that two operands share.
fn expect<'s>(wished: &Type<'s>, found: &Type<'s>, function: &str) -> Typed<'s> {
    match (wished, found) {
        (Type::Any, other) | (other, Type::Any) => Ok(other.clone()),
        (Type::List(a), Type::List(b)) | (Type::Map(a), Type::Map(b)) | (Type::Optional(a), Type::Optional(b)) => {
            expect(a, b, function).map(|_| wished.clone())
        }
        (Type::Object(_), Type::Map(_)) | (Type::Map(_), Type::Object(_)) => Ok(Type::Any),
        (a, b) if a == b => Ok(a.clone()),
        _ => Err(no_overload(function)),
    }
}

fn no_overload(function: &str) -> String {
    format!("found no matching overload for '{function}'")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;
    use serde_json::json;

    fn problem(rule: &str, message: &str) -> Option<Problem> {
        let mut entry = json!({"rule": rule, "messageExpression": message});
        entry["optionalOldSelf"] = rule.contains("oldSelf").into();
        let schema =
            schema::custom(&json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
                "a": {"type": "integer"}, "t": {"type": "string"}, "when": {"type": "string", "format": "date-time"},
                "for": {"type": "string", "format": "duration"}, "either": {"x-kubernetes-int-or-string": true},
                "l": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "integer"}}}},
                "m": {"type": "object", "additionalProperties": {"type": "string"}},
            }}}}));
        check(&Rule::compile(&entry).expect("a rule"), &schema, true).err()
    }

    #[test]
    fn what_can_be_right_is_taken_for_right() {
        for rule in [
            "has(self.spec) && self.spec.a > 1 || !has(self.spec.t)",
            "self.metadata.name.size() < 3 && self.kind == 'A'",
            "self.spec.l.all(i, has(i.x) && i.x > 1) && self.spec.l.exists_one(i, i.x == 1)",
            "self.spec.l.filter(i, i.x > 1).map(i, i.x).sum() < 3",
            "self.spec.m.all(k, k != 'a' || self.spec.m[k] == 'b') && 'a' in self.spec.m",
            "oldSelf.hasValue() || self.spec.a == oldSelf.value().spec.a",
            "self.spec.?a.orValue(1) < 2 && self.?spec.?l[?0].?x.hasValue()",
            "self.spec.when + duration('1h') > timestamp('2024-01-01T00:00:00Z')",
            "self.spec.__for__ < duration('1h')",
            "type(self.spec.either) == int ? self.spec.either < 3 : self.spec.either == '1%'",
            "(has(self.spec.a) ? self.spec.a : 0.5) < 3",
            "[1, 2] + [3] == [self.spec.a] && {'a': 1}.b == 1",
            "quantity(self.spec.t).isLessThan(quantity('1')) && self.spec == self.spec",
        ] {
            assert_eq!(problem(rule, "'a' + string(self.spec.a)"), None, "{rule}");
        }
    }

    #[test]
    fn what_can_not_be_right_is_told() {
        for rule in [
            "self.b == 1",
            "self.metadata.labels == {}",
            "self.spec.l.all(i, i.y == 1)",
            "self.spec.t.x == 1",
            "self.spec.a == 'a'",
            "self.spec.a && true",
            "self.spec.t > 1",
            "self.spec.t + 1 == 'a1'",
            "self.spec.?b.hasValue()",
            "self.spec.a.hasValue()",
            "self.spec.l.exists(i, i.x)",
            "(self.spec.a ? 1 : 2) > 1",
        ] {
            assert!(matches!(problem(rule, "'a'"), Some(Problem::Rule(_))), "{rule}");
        }
        assert_eq!(problem("self.spec.a", "'a'"), Some(Problem::NoTruth));
        assert_eq!(problem("true", "self.spec.a"), Some(Problem::NoText));
        assert!(matches!(problem("true", "self.b"), Some(Problem::Message(_))));
    }
}
