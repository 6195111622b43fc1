//! An entry of `x-kubernetes-validations` → a compiled rule; values of CEL → whether they keep it, and what is said if not.

mod expression;
mod library;

use kube_cel::cel;
use kube_cel::cel::common::ast::IdedExpr;
use kube_cel::cel::objects::OptionalValue;
use serde_json::Value;

use self::expression::Expression;
pub use self::library::{ALL, EXISTS, ITEMS, PICK};

/// The longest message that a `messageExpression` may make, in bytes (`MaxEvaluatedMessageExpressionSizeBytes`).
const LONGEST_MESSAGE: usize = 5 * 1024;

/// A rule that compiles.
#[derive(Debug)]
pub struct Rule {
    expression: Expression,
    /// What it is called where it fails: its message, or else its text.
    name: String,
    message: Option<String>,
    message_expression: Option<Expression>,
    /// Whether `oldSelf` is an optional, and the rule holds of new objects as well.
    pub is_optional: bool,
    /// `FieldValueInvalid` unless it says another.
    pub reason: String,
    /// Where the fault is, below the field that the rule is about; empty if that is the field itself.
    pub field_path: String,
}

/// Why an entry is no rule.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// There is no rule in it.
    #[error("rule is not specified")]
    Empty,
    /// Its rule does not compile.
    #[error("compilation failed: {0}")]
    Rule(String),
    /// Its rule has a value, but no truth.
    #[error("cel expression must evaluate to a bool")]
    NoTruth,
    /// Its message does not compile.
    #[error("messageExpression compilation failed: {0}")]
    Message(String),
    /// Its message is no text.
    #[error("messageExpression must evaluate to a string")]
    NoText,
}

/// What is said of values that don't keep a rule.
#[derive(Debug, PartialEq, Eq)]
pub enum Complaint {
    /// It is false of them: its message.
    Broken(String),
    /// It has no value.
    Failed(String),
}

impl Rule {
    /// A rule from its entry.
    ///
    /// # Errors
    ///
    /// If it does not compile.
    pub fn compile(entry: &Value) -> Result<Self, Problem> {
        let text = |name: &str| entry[name].as_str().unwrap_or_default().trim();
        if text("rule").is_empty() {
            return Err(Problem::Empty);
        }
        let some = |name: &str| Some(text(name)).filter(|text| !text.is_empty());
        let message_expression = some("messageExpression").map(Expression::compile).transpose();
        Ok(Self {
            expression: Expression::compile(text("rule")).map_err(Problem::Rule)?,
            name: some("message").unwrap_or(text("rule")).to_owned(),
            message: some("message").map(str::to_owned),
            message_expression: message_expression.map_err(Problem::Message)?,
            is_optional: entry["optionalOldSelf"] == true,
            reason: text("reason").to_owned(),
            field_path: text("fieldPath").to_owned(),
        })
    }

    /// What has to be true.
    pub fn expression(&self) -> &IdedExpr {
        &self.expression.tree
    }

    /// What makes its message, if something does.
    pub fn message_expression(&self) -> Option<&IdedExpr> {
        self.message_expression.as_ref().map(|message| &message.tree)
    }

    /// Whether it speaks of the value before.
    pub fn is_transition(&self) -> bool {
        self.expression.names_old
    }

    /// What is said of `this`, which was `old`; nothing, if it keeps the rule, or if the rule is about changes and there
    /// was nothing before.
    pub fn complaint(&self, this: &cel::Value, old: Option<&cel::Value>) -> Option<Complaint> {
        if self.is_transition() && old.is_none() && !self.is_optional {
            return None;
        }
        let before = if self.is_optional { Some(optional(old)) } else { old.cloned() };
        match self.expression.evaluate(this, before) {
            Ok(cel::Value::Bool(true)) => None,
            Ok(cel::Value::Bool(false)) => Some(Complaint::Broken(self.message(this, old))),
            Ok(_) => Some(Complaint::Failed(self.failure("no such overload"))),
            Err(why) => Some(Complaint::Failed(self.failure(&why))),
        }
    }

    fn message(&self, this: &cel::Value, old: Option<&cel::Value>) -> String {
        let made = self.message_expression.as_ref().and_then(|it| it.evaluate(this, old.cloned()).ok());
        let made = match &made {
            Some(cel::Value::String(text)) => Some(text.trim()),
            _ => None,
        };
        let made = made.filter(|text| !text.is_empty() && text.len() <= LONGEST_MESSAGE && !text.contains('\n'));
        let stated = || self.message.clone().unwrap_or_else(|| format!("failed rule: {}", self.name));
        made.map_or_else(stated, str::to_owned)
    }

    fn failure(&self, why: &str) -> String {
        if why.starts_with("no such overload") {
            let what = "call arguments did not match a supported operator, function or macro signature for rule";
            format!("'{why}': {what}: {}", self.name)
        } else {
            format!("{why} evaluating rule: {}", self.name)
        }
    }
}

fn optional(value: Option<&cel::Value>) -> cel::Value {
    let optional = value.map_or_else(OptionalValue::none, |value| OptionalValue::of(value.clone()));
    cel::Value::Opaque(std::sync::Arc::new(optional))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn complaint(entry: &Value, this: i32, old: Option<i32>) -> Option<Complaint> {
        let old = old.map(cel::Value::from);
        Rule::compile(entry).expect("a rule").complaint(&this.into(), old.as_ref())
    }

    fn broken(message: &str) -> Complaint {
        Complaint::Broken(message.to_owned())
    }

    #[test]
    fn a_rule_without_a_message_is_told_itself() {
        assert_eq!(complaint(&json!({"rule": " self > 1 "}), 1, None), Some(broken("failed rule: self > 1")));
    }

    #[test]
    fn a_message_is_made_of_the_value_if_that_gives_one_line() {
        let entry = |message: &str| json!({"rule": "self > 1", "message": "stated", "messageExpression": message});
        assert_eq!(complaint(&entry("'not ' + string(self)"), 1, None), Some(broken("not 1")));
        for none in ["' '", "'a\\nb'", "string(self / 0)"] {
            assert_eq!(complaint(&entry(none), 1, None), Some(broken("stated")), "{none}");
        }
    }

    #[test]
    fn a_rule_about_changes_holds_of_what_is_new_unless_the_value_before_is_an_optional() {
        let plain = json!({"rule": "self >= oldSelf"});
        assert_eq!(complaint(&plain, 1, None), None);
        assert_eq!(complaint(&plain, 1, Some(2)), Some(broken("failed rule: self >= oldSelf")));
        let optional = json!({"rule": "oldSelf.hasValue() || self > 1", "optionalOldSelf": true});
        assert!(complaint(&optional, 1, None).is_some());
        assert_eq!(complaint(&optional, 1, Some(0)), None);
    }

    #[test]
    fn what_has_no_value_is_told_with_the_reason() {
        let failed = |text: &str| Some(Complaint::Failed(text.to_owned()));
        let entry = |rule: &str| json!({"rule": rule, "message": "stated"});
        assert_eq!(complaint(&entry("1 / self > 0"), 0, None), failed("division by zero evaluating rule: stated"));
        assert_eq!(
            complaint(&entry("[1][self] == 1"), 1, None),
            failed("index out of bounds: 1 evaluating rule: stated")
        );
    }
}
