//! The peers, each with the whole rule set compiled before anything is measured.

use crate::rules::Conditions;
use cedar_policy::{
    Authorizer, Context, Entities, EntityUid, Policy, PolicyId, PolicySet, Request, Response,
    RestrictedExpression,
};
use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::vm::RegoVM;
use std::collections::BTreeSet;
use trust::{Readings, Value};

const ENTRY: &str = "data.trust.fired";

/// Names of the conditions that fired.
pub type Fired = BTreeSet<String>;

/// One `permit` for each condition; Cedar evaluates every one and names those that hold.
pub struct Cedar {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
}

impl Cedar {
    pub fn new(conditions: &Conditions) -> Result<Cedar, String> {
        let mut policies = PolicySet::new();
        for (name, condition) in conditions {
            let text = format!(
                "permit(principal, action, resource) when {{ {} }};",
                condition.logic.cedar()
            );
            let policy = Policy::parse(Some(PolicyId::new(name)), &text)
                .map_err(|why| format!("Cedar refuses `{text}`: {why}"))?;
            policies.add(policy).map_err(|why| why.to_string())?;
        }
        Ok(Cedar { authorizer: Authorizer::new(), policies, entities: Entities::empty() })
    }

    pub fn request(readings: &Readings) -> Result<Request, String> {
        let pairs = readings.iter().map(|(name, reading)| {
            let value = match &reading.value {
                Value::Bool(value) => RestrictedExpression::new_bool(*value),
                Value::Integer(value) => RestrictedExpression::new_long(*value),
                Value::Text(value) => RestrictedExpression::new_string(value.clone()),
            };
            (name.clone(), value)
        });
        let context = Context::from_pairs(pairs).map_err(|why| why.to_string())?;
        let uid = |text: &str| text.parse::<EntityUid>().map_err(|why| why.to_string());
        let (principal, action) = (uid(r#"User::"somebody""#)?, uid(r#"Action::"access""#)?);
        Request::new(principal, action, uid(r#"Resource::"something""#)?, context, None)
            .map_err(|why| why.to_string())
    }

    pub fn ask(&self, request: &Request) -> Response {
        self.authorizer.is_authorized(request, &self.policies, &self.entities)
    }

    pub fn fired(&self, request: &Request) -> Result<Fired, String> {
        let response = self.ask(request);
        if let Some(error) = response.diagnostics().errors().next() {
            return Err(format!("Cedar: {error}"));
        }
        Ok(response.diagnostics().reason().map(ToString::to_string).collect())
    }
}

/// One rule for each condition, with a body for each of its disjuncts; together they make the set
/// of the names that fired. Asked in two ways: by regorus' interpreter and by its virtual machine.
pub struct Rego {
    engine: regorus::Engine,
    machine: RegoVM,
}

impl Rego {
    pub fn new(conditions: &Conditions) -> Result<Rego, String> {
        let mut text = "package trust\n".to_owned();
        for (name, condition) in conditions {
            for body in condition.logic.rego().map_err(|why| format!("`{name}`: {why}"))? {
                text.push_str(&format!("fired contains {name:?} if {{ {body} }}\n"));
            }
        }
        let wrong = |why: &dyn std::fmt::Display| format!("regorus refuses the rules: {why}");
        let mut engine = regorus::Engine::new();
        engine.add_policy("trust.rego".to_owned(), text).map_err(|why| wrong(&why))?;
        let compiled = engine.compile_with_entrypoint(&ENTRY.into()).map_err(|why| wrong(&why))?;
        let program =
            Compiler::compile_from_policy(&compiled, &[ENTRY]).map_err(|why| wrong(&why))?;
        let mut machine = RegoVM::new();
        machine.load_program(program);
        machine.set_data(regorus::Value::new_object()).map_err(|why| wrong(&why))?;
        Ok(Rego { engine, machine })
    }

    pub fn input(readings: &Readings) -> Result<regorus::Value, String> {
        let values: serde_json::Map<String, serde_json::Value> = readings
            .iter()
            .map(|(name, reading)| {
                let value = match &reading.value {
                    Value::Bool(value) => (*value).into(),
                    Value::Integer(value) => (*value).into(),
                    Value::Text(value) => value.as_str().into(),
                };
                (name.clone(), value)
            })
            .collect();
        let text = serde_json::Value::Object(values).to_string();
        regorus::Value::from_json_str(&text).map_err(|why| why.to_string())
    }

    pub fn interpret(&mut self, input: &regorus::Value) -> Result<regorus::Value, String> {
        self.engine.set_input(input.clone());
        self.engine.eval_rule(ENTRY.to_owned()).map_err(|why| why.to_string())
    }

    pub fn run(&mut self, input: &regorus::Value) -> Result<regorus::Value, String> {
        self.machine.set_input(input.clone());
        self.machine.execute().map_err(|why| why.to_string())
    }

    pub fn fired(found: &regorus::Value) -> Result<Fired, String> {
        let names = found.as_set().map_err(|why| why.to_string())?;
        names
            .iter()
            .map(|name| name.as_string().map(ToString::to_string).map_err(|why| why.to_string()))
            .collect()
    }
}
