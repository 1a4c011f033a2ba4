//! Expectations over JSON: one RFC 9535 JSONPath, one condition on what it selects.

/// `{"path": "$.status", "equals": "ok"}`, parsed.
#[derive(Debug, Clone)]
pub struct JsonExpectation;
