//! Turns a problem into words for a terminal, a JSON-RPC error, a tool result.

use super::Problem;

impl Problem {
    /// STUB.
    pub fn what(&self) -> String {
        fill(self, self.id.entry().what)
    }
    /// STUB.
    pub fn cause(&self) -> String {
        fill(self, self.id.entry().cause)
    }
    /// STUB.
    pub fn fix(&self) -> String {
        fill(self, self.id.entry().fix)
    }
}

fn fill(p: &Problem, text: &str) -> String {
    let mut out = text.to_owned();
    for (k, v) in &p.facts {
        out = out.replace(&format!("{{{k}}}"), v);
    }
    out
}
