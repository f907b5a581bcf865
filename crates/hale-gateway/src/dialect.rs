//! placeholder until the translation comes
pub struct Trouble<'a> {
    pub status: u16,
    pub code: &'a str,
    pub cause: &'a str,
    pub message: &'a str,
    pub correlation_id: &'a str,
    pub field: Option<&'a str>,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    OpenAiChat,
    OpenAiResponses,
    Anthropic,
    OllamaChat,
    OllamaGenerate,
}
impl Dialect {
    pub fn error_body(self, t: &Trouble<'_>) -> Vec<u8> {
        serde_json::json!({"error": {"message": t.message, "type": "server_error", "param": t.field, "code": t.cause}}).to_string().into_bytes()
    }
    pub fn error_event(self, t: &Trouble<'_>) -> Vec<u8> {
        let mut out = b"data: ".to_vec();
        out.extend(self.error_body(t));
        out.extend(b"\n\n");
        out
    }
}
