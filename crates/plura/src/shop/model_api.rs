//! The OpenAI-style half of the shop: keys, models, answers with token counts.

use super::accounts::api_key;
use super::http::{Request, Response};
use serde_json::{Value, json};

/// Customers of the model API; key `n` belongs to customer `n`.
const CUSTOMERS: u32 = 12;
const MODELS: [&str; 2] = ["sol-mini", "sol-pro"];
/// Only the owner's own machines may use it; asking for it is refused.
const INTERNAL_MODEL: &str = "sol-internal";
const PROMPT_CHARS_MAX: usize = 24_000;

pub fn models(request: &Request) -> Response {
    match customer(request) {
        Some(_) => Response::json(
            200,
            &json!({ "data": MODELS.iter().map(|id| json!({ "id": id })).collect::<Vec<_>>() }),
        ),
        None => unauthorized(),
    }
}

pub fn chat(request: &Request) -> Response {
    if customer(request).is_none() {
        return unauthorized();
    }
    let Some(body) = request.json() else {
        return refused(400, "invalid_json");
    };
    let model = body.get("model").and_then(Value::as_str).unwrap_or("");
    if model == INTERNAL_MODEL {
        return refused(403, "model_not_allowed");
    }
    if !MODELS.contains(&model) {
        return refused(404, "no_such_model");
    }
    let prompt: String = body
        .get("messages")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|m| m.get("content").and_then(Value::as_str))
        .collect::<Vec<_>>()
        .join("\n");
    if prompt.len() > PROMPT_CHARS_MAX {
        return refused(400, "context_length_exceeded");
    }
    if asks_for_the_system_prompt(&prompt) {
        return refused(400, "content_policy");
    }
    let wanted = body.get("max_tokens").and_then(Value::as_u64).unwrap_or(120).min(4_000);
    let tokens_in = (prompt.len() as u64).div_ceil(4);
    let tokens_out = wanted.min(40 + tokens_in / 2).max(wanted / 2);
    Response::json(
        200,
        &json!({
            "id": format!("chat-{}", schema::sha256(prompt.as_bytes()).to_hex().chars().take(12).collect::<String>()),
            "model": model,
            "choices": [{ "index": 0, "message": { "role": "assistant", "content": "Here is a short answer." }, "finish_reason": "stop" }],
            "usage": { "prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": tokens_in + tokens_out },
        }),
    )
}

fn asks_for_the_system_prompt(prompt: &str) -> bool {
    let prompt = prompt.to_lowercase();
    ["system prompt", "previous instructions", "시스템 프롬프트", "システムプロンプト"]
        .iter()
        .any(|phrase| prompt.contains(phrase))
}

fn customer(request: &Request) -> Option<u32> {
    let key = request.header("authorization")?.strip_prefix("Bearer ")?;
    (0..CUSTOMERS).find(|n| api_key(*n) == key)
}

fn unauthorized() -> Response {
    refused(401, "invalid_api_key")
}

fn refused(status: u16, code: &str) -> Response {
    Response::json(status, &json!({ "error": { "code": code } }))
}
