//! What each of Planhat's tools needs and does, and the words in which it refuses.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::dataset::{Dataset, Listing};
use super::permission::{Action, Model, Permission};

/// A call that is not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) message: String,
}

impl Refusal {
    fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// `400 Bad Request: …`, as the documentation writes these.
    pub(crate) fn text(&self) -> String {
        let reason = match self.status {
            400 => "Bad Request",
            403 => "Forbidden",
            _ => "Not Found",
        };
        format!("{} {reason}: {}", self.status, self.message)
    }
}

/// A call that was understood: everything that it needs is there and allowed.
#[derive(Debug)]
pub(crate) enum Call {
    Describe(Model),
    List(Model, Listing),
    Get(Model, String),
    Search(Vec<Model>, String, usize),
    Create(Model, Map<String, Value>),
    Update(Model, String, Map<String, Value>),
    Delete(Model, String),
}

/// The tools that Planhat has, with what they do.
pub(crate) const TOOLS: [&str; 10] = [
    "get_model_action_parameters",
    "list_model_records",
    "get_model_record",
    "search_records",
    "create_model_record",
    "update_model_record",
    "delete_model_record",
    "create_document",
    "get_document",
    "search_documents",
];

/// Reads a call of one of [`TOOLS`]; `None` when it is another tool.
pub(crate) fn parse(
    tool: &str,
    arguments: &Map<String, Value>,
    granted: &BTreeSet<Permission>,
) -> Option<Result<Call, Refusal>> {
    TOOLS.contains(&tool).then(|| understand(tool, arguments, granted))
}

fn understand(tool: &str, arguments: &Map<String, Value>, granted: &BTreeSet<Permission>) -> Result<Call, Refusal> {
    let allowed = |model: Model, action: Action| {
        if granted.contains(&Permission::new(model, action)) {
            return Ok(model);
        }
        let (action, model) = (action.title(), model.title());
        Err(Refusal::new(403, format!("the token lacks the permission to {action} on {model}.")))
    };
    let model = |action| allowed(model_of(arguments)?, action);
    match tool {
        "get_model_action_parameters" => Ok(Call::Describe(model_of(arguments)?)),
        "list_model_records" => Ok(Call::List(model(Action::View)?, listing(arguments)?)),
        "get_model_record" => Ok(Call::Get(model(Action::View)?, text(arguments, "OBJECT_ID")?)),
        "create_model_record" => Ok(Call::Create(model(Action::Create)?, fields(arguments)?)),
        "update_model_record" => {
            Ok(Call::Update(model(Action::Update)?, text(arguments, "OBJECT_ID")?, fields(arguments)?))
        }
        "delete_model_record" => Ok(Call::Delete(model(Action::Delete)?, text(arguments, "OBJECT_ID")?)),
        "create_document" => Ok(Call::Create(allowed(Model::Document, Action::Create)?, fields(arguments)?)),
        "get_document" => Ok(Call::Get(allowed(Model::Document, Action::View)?, text(arguments, "OBJECT_ID")?)),
        "search_documents" => {
            let models = vec![allowed(Model::Document, Action::View)?];
            Ok(Call::Search(models, text(arguments, "QUERY")?, number(arguments, "LIMIT", 20)?))
        }
        _ => {
            let viewable = |model: &Model| granted.contains(&Permission::new(*model, Action::View));
            let models: Vec<Model> = match arguments.get("MODEL") {
                Some(_) => vec![model(Action::View)?],
                None => Model::ALL.into_iter().filter(viewable).collect(),
            };
            Ok(Call::Search(models, text(arguments, "QUERY")?, number(arguments, "LIMIT", 20)?))
        }
    }
}

impl Call {
    pub(crate) fn run(self, data: &mut Dataset) -> Result<Value, Refusal> {
        let missing = |model: Model, id: &str| Refusal::new(404, format!("no {} with id {id}.", model.title()));
        match self {
            Call::Describe(model) => Ok(describe(model)),
            Call::List(model, listing) => Ok(data.list(model, &listing)),
            Call::Get(model, id) => data.get(model, &id).cloned().ok_or_else(|| missing(model, &id)),
            Call::Search(models, query, limit) => Ok(data.search(&models, &query, limit)),
            Call::Create(model, fields) => Ok(data.create(model, &fields)),
            Call::Update(model, id, fields) => data.update(model, &id, &fields).ok_or_else(|| missing(model, &id)),
            Call::Delete(model, id) if data.delete(model, &id) => Ok(json!({ "deleted": id })),
            Call::Delete(model, id) => Err(missing(model, &id)),
        }
    }
}

fn describe(model: Model) -> Value {
    let required = match model {
        Model::Company => "name",
        Model::EndUser => "email",
        Model::Conversation => "subject",
        Model::Task | Model::Document => "title",
    };
    json!({
        "MODEL": model.title(),
        "actions": {
            "list": { "optional": ["FILTER", "SELECT", "LIMIT", "OFFSET", "SORT"] },
            "get": { "required": ["OBJECT_ID"] },
            "create": { "required": [format!("PARAMETERS.{required}")] },
            "update": { "required": ["OBJECT_ID", "PARAMETERS"] },
            "delete": { "required": ["OBJECT_ID"] },
        },
    })
}

fn model_of(arguments: &Map<String, Value>) -> Result<Model, Refusal> {
    let name = text(arguments, "MODEL")?;
    Model::parse(&name).ok_or_else(|| Refusal::new(404, format!("{name} is not a model of this tenant.")))
}

fn listing(arguments: &Map<String, Value>) -> Result<Listing, Refusal> {
    Ok(Listing {
        filter: object(arguments, "FILTER")?.unwrap_or_default(),
        select: select(arguments)?,
        sort: arguments.get("SORT").and_then(Value::as_str).map(str::to_owned),
        offset: number(arguments, "OFFSET", 0)?,
        limit: number(arguments, "LIMIT", 100)?,
    })
}

/// `SELECT` as a list of names or as one text with commas.
fn select(arguments: &Map<String, Value>) -> Result<Vec<String>, Refusal> {
    match arguments.get("SELECT") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(names)) => Ok(names.split(',').map(|name| name.trim().to_owned()).collect()),
        Some(Value::Array(names)) => Ok(names.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
        Some(_) => Err(Refusal::new(400, "SELECT must be a list of field names.")),
    }
}

fn text(arguments: &Map<String, Value>, name: &str) -> Result<String, Refusal> {
    match arguments.get(name).and_then(Value::as_str) {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(Refusal::new(400, format!("{name} is required and must be text."))),
    }
}

fn number(arguments: &Map<String, Value>, name: &str, default: usize) -> Result<usize, Refusal> {
    match arguments.get(name) {
        None | Some(Value::Null) => Ok(default),
        Some(value) => value
            .as_u64()
            .and_then(|number| usize::try_from(number).ok())
            .ok_or_else(|| Refusal::new(400, format!("{name} must be a whole number."))),
    }
}

fn object(arguments: &Map<String, Value>, name: &str) -> Result<Option<Map<String, Value>>, Refusal> {
    match arguments.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object.clone())),
        Some(_) => Err(Refusal::new(400, format!("{name} must be an object."))),
    }
}

fn fields(arguments: &Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
    object(arguments, "PARAMETERS")?.ok_or_else(|| Refusal::new(400, "PARAMETERS is required."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(tool: &str, arguments: Value, granted: Vec<Permission>) -> Option<u16> {
        let arguments = arguments.as_object().cloned().unwrap_or_default();
        parse(tool, &arguments, &granted.into_iter().collect())?.err().map(|refusal| refusal.status)
    }

    #[test]
    fn refusals_carry_the_documented_status() {
        let all = Permission::all;
        assert_eq!(refused("list_model_records", json!({ "MODEL": "Company" }), all()), None);
        assert_eq!(refused("list_model_records", json!({ "MODEL": "Invoice" }), all()), Some(404));
        assert_eq!(refused("list_model_records", json!({}), all()), Some(400));
        assert_eq!(refused("list_model_records", json!({ "MODEL": "Company", "LIMIT": "x" }), all()), Some(400));
        let delete = json!({ "MODEL": "Company", "OBJECT_ID": "co_aurora" });
        assert_eq!(refused("delete_model_record", delete, Permission::all_but_delete()), Some(403));
    }
}
