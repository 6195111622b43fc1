//! The functions that rules may call: those of CEL and Kubernetes, and some in place of what the interpreter takes otherwise
//! than the real server.

use std::sync::{Arc, LazyLock};

use kube_cel::KubeCelExt as _;
use kube_cel::cel::common::ast::{CallExpr, Expr, IdedExpr};
use kube_cel::cel::extractors::{Identifier, This};
use kube_cel::cel::objects::{Key, OptionalValue};
use kube_cel::cel::{Context, ExecutionError, FunctionContext, Value};

type Evaluated = Result<Value, ExecutionError>;

/// `x.?name` and `x[?index]`, whether or not `x` is an optional itself: the interpreter fails where there is no such field.
pub const PICK: &str = "@pick";

/// What a macro goes over: of a map its keys, in order, since the interpreter has them in none.
pub const ITEMS: &str = "@items";

/// `all` and `exists`, in which a decisive item makes up for one without a value: the interpreter stops at the latter.
pub const ALL: &str = "@all";
/// See `ALL`.
pub const EXISTS: &str = "@exists";

/// The types, which an expression may name as well.
pub(super) const TYPES: [&str; 10] =
    ["bool", "bytes", "double", "int", "list", "map", "null_type", "optional_type", "string", "uint"];

/// Functions, and types under their names.
pub(super) static LIBRARY: LazyLock<Context<'static>> = LazyLock::new(|| {
    let mut library = Context::default().with_all();
    library.add_function(PICK, pick);
    library.add_function(ITEMS, items);
    library.add_function(ALL, all);
    library.add_function(EXISTS, exists);
    library.add_function("size", size);
    library.add_function("type", kind);
    for name in TYPES {
        library.add_variable_from_value(name, name);
    }
    library
});

/// Whether there is a function of this name: if so, what is wrong with a call without arguments is something else.
pub(super) fn has_function(name: &str) -> bool {
    let call = CallExpr { func_name: name.to_owned(), target: None, args: Vec::new() };
    let call = IdedExpr { id: 0, expr: Expr::Call(call) };
    !matches!(Value::resolve(&call, &LIBRARY), Err(ExecutionError::UndeclaredReference(_)))
}

fn pick(operand: Value, key: Value) -> Evaluated {
    let none = || Ok(Value::Opaque(Arc::new(OptionalValue::none())));
    let optional = match &operand {
        Value::Opaque(opaque) => opaque.downcast_ref::<OptionalValue>().map(|optional| optional.value().cloned()),
        _ => None,
    };
    let operand = match optional {
        Some(Some(inner)) => inner,
        Some(None) => return none(),
        None => operand,
    };
    let found = match (&operand, key) {
        (Value::Map(map), key) => {
            let key: Key = key.try_into().map_err(ExecutionError::UnsupportedKeyType)?;
            map.get(&key).cloned()
        }
        (Value::List(list), Value::Int(index)) => {
            usize::try_from(index).ok().and_then(|index| list.get(index).cloned())
        }
        _ => return Err(ExecutionError::NoSuchOverload),
    };
    found.map_or_else(none, |found| Ok(Value::Opaque(Arc::new(OptionalValue::of(found)))))
}

fn items(range: Value) -> Evaluated {
    match range {
        Value::Map(map) => {
            let mut keys: Vec<&Key> = map.map.keys().collect();
            keys.sort();
            Ok(Value::List(Arc::new(keys.into_iter().map(Value::from).collect())))
        }
        Value::List(list) => Ok(Value::List(list)),
        _ => Err(ExecutionError::NoSuchOverload),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "functions are called with values")]
fn all(context: &FunctionContext, items: Value, name: Identifier, predicate: IdedExpr) -> Evaluated {
    settle(context, &items, &name, &predicate, false)
}

#[expect(clippy::needless_pass_by_value, reason = "functions are called with values")]
fn exists(context: &FunctionContext, items: Value, name: Identifier, predicate: IdedExpr) -> Evaluated {
    settle(context, &items, &name, &predicate, true)
}

/// The truth that one item decides alone; else its opposite, unless an item has no value.
fn settle(
    context: &FunctionContext,
    items: &Value,
    name: &Identifier,
    predicate: &IdedExpr,
    decisive: bool,
) -> Evaluated {
    let Value::List(items) = items else { return Err(ExecutionError::NoSuchOverload) };
    let mut failure = None;
    for item in items.iter() {
        let mut scope = context.ptx.new_inner_scope();
        scope.add_variable_from_value(name, item.clone());
        match Value::resolve(predicate, &scope) {
            Ok(Value::Bool(truth)) if truth == decisive => return Ok(Value::Bool(decisive)),
            Ok(Value::Bool(_)) => {}
            Ok(_) => failure = failure.or(Some(ExecutionError::NoSuchOverload)),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    failure.map_or(Ok(Value::Bool(!decisive)), Err)
}

/// Of a text the number of its characters, not of its bytes.
fn size(This(this): This<Value>) -> Evaluated {
    let size = match &this {
        Value::String(text) => text.chars().count(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.map.len(),
        _ => return Err(ExecutionError::NoSuchOverload),
    };
    Ok(Value::Int(i64::try_from(size).unwrap_or(i64::MAX)))
}

/// The type of a value, which the interpreter has no function for.
fn kind(This(this): This<Value>) -> Evaluated {
    let name = match &this {
        Value::Bool(_) => "bool",
        Value::Bytes(_) => "bytes",
        Value::Float(_) => "double",
        Value::Duration(_) => "google.protobuf.Duration",
        Value::Timestamp(_) => "google.protobuf.Timestamp",
        Value::Int(_) => "int",
        Value::List(_) => "list",
        Value::Map(_) => "map",
        Value::Null => "null_type",
        Value::Opaque(opaque) => opaque.runtime_type_name(),
        Value::String(_) => "string",
        Value::UInt(_) => "uint",
        Value::Function(..) => return Err(ExecutionError::NoSuchOverload),
    };
    Ok(name.into())
}
