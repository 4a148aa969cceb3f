//! A small made-up data set, and what can be asked of it.

use serde_json::{Map, Value, json};

use super::permission::Model;

/// The records of a tenant; each tenant starts with its own copy.
#[derive(Debug, Clone)]
pub(crate) struct Dataset {
    models: Map<String, Value>,
    created: u64,
}

/// Which records to list, and how.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) filter: Map<String, Value>,
    pub(crate) select: Vec<String>,
    pub(crate) sort: Option<String>,
    pub(crate) offset: usize,
    pub(crate) limit: usize,
}

impl Dataset {
    pub(crate) fn made_up() -> Self {
        let models = serde_json::from_str(include_str!("dataset.json")).expect("the embedded data set is JSON");
        Self { models, created: 0 }
    }

    fn records(&self, model: Model) -> &[Value] {
        self.models.get(model.key()).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    fn records_mut(&mut self, model: Model) -> Option<&mut Vec<Value>> {
        self.models.entry(model.key()).or_insert_with(|| json!([])).as_array_mut()
    }

    pub(crate) fn list(&self, model: Model, listing: &Listing) -> Value {
        let mut found: Vec<&Value> =
            self.records(model).iter().filter(|record| matches(record, &listing.filter)).collect();
        if let Some(sort) = &listing.sort {
            let (field, descending) = sort.strip_prefix('-').map_or((sort.as_str(), false), |field| (field, true));
            found.sort_by(|a, b| compare(&a[field], &b[field]));
            if descending {
                found.reverse();
            }
        }
        let total = found.len();
        let records: Vec<Value> = found
            .into_iter()
            .skip(listing.offset)
            .take(listing.limit)
            .map(|record| project(record, &listing.select))
            .collect();
        json!({ "model": model.title(), "total": total, "offset": listing.offset, "records": records })
    }

    pub(crate) fn get(&self, model: Model, id: &str) -> Option<&Value> {
        self.records(model).iter().find(|record| record["_id"] == id)
    }

    /// Every record of these models in which each word of the query occurs.
    pub(crate) fn search(&self, models: &[Model], query: &str, limit: usize) -> Value {
        let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
        let hits: Vec<Value> = models
            .iter()
            .flat_map(|&model| self.records(model).iter().map(move |record| (model, record)))
            .filter(|(_, record)| {
                let text = words_of(record);
                words.iter().all(|word| text.contains(word))
            })
            .take(limit)
            .map(|(model, record)| json!({ "model": model.title(), "record": record }))
            .collect();
        json!({ "query": query, "total": hits.len(), "hits": hits })
    }

    pub(crate) fn create(&mut self, model: Model, fields: &Map<String, Value>) -> Value {
        self.created += 1;
        let mut record = fields.clone();
        record.insert("_id".into(), json!(format!("{}_new_{}", &model.key()[..2], self.created)));
        let record = Value::Object(record);
        if let Some(records) = self.records_mut(model) {
            records.push(record.clone());
        }
        record
    }

    pub(crate) fn update(&mut self, model: Model, id: &str, fields: &Map<String, Value>) -> Option<Value> {
        let record = self.records_mut(model)?.iter_mut().find(|record| record["_id"] == id)?;
        for (field, value) in fields.iter().filter(|(field, _)| *field != "_id") {
            record[field] = value.clone();
        }
        Some(record.clone())
    }

    pub(crate) fn delete(&mut self, model: Model, id: &str) -> bool {
        let Some(records) = self.records_mut(model) else { return false };
        let before = records.len();
        records.retain(|record| record["_id"] != id);
        records.len() < before
    }
}

/// A filter's members are equal values, or `{"contains"|"gt"|"lt": value}`.
fn matches(record: &Value, filter: &Map<String, Value>) -> bool {
    filter.iter().all(|(field, wanted)| {
        let found = &record[field];
        let Some(operators) = wanted.as_object() else { return found == wanted };
        operators.iter().all(|(operator, operand)| match operator.as_str() {
            "contains" => {
                let operand = operand.as_str().unwrap_or_default().to_lowercase();
                found.to_string().to_lowercase().contains(&operand)
            }
            "gt" => compare(found, operand).is_gt(),
            "lt" => compare(found, operand).is_lt(),
            _ => false,
        })
    })
}

/// The values of a record as one text in lower case, without the names of its fields.
fn words_of(value: &Value) -> String {
    match value {
        Value::Object(members) => members.values().map(words_of).collect::<Vec<_>>().join(" "),
        Value::Array(items) => items.iter().map(words_of).collect::<Vec<_>>().join(" "),
        Value::String(text) => text.to_lowercase(),
        other => other.to_string(),
    }
}

fn compare(a: &Value, b: &Value) -> std::cmp::Ordering {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => a.as_str().unwrap_or_default().cmp(b.as_str().unwrap_or_default()),
    }
}

fn project(record: &Value, select: &[String]) -> Value {
    if select.is_empty() {
        return record.clone();
    }
    let kept = |field: &&str| record.get(*field).is_some();
    let fields = std::iter::once("_id").chain(select.iter().map(String::as_str)).filter(kept);
    Value::Object(fields.map(|field| (field.to_owned(), record[field].clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_filters_sorts_pages_and_selects() {
        let listing = Listing {
            filter: json!({ "mrr": { "gt": 1000 } }).as_object().cloned().unwrap_or_default(),
            select: vec!["name".into()],
            sort: Some("-mrr".into()),
            offset: 1,
            limit: 2,
        };
        let listed = Dataset::made_up().list(Model::Company, &listing);
        assert_eq!(listed["total"], 4);
        assert_eq!(
            listed["records"],
            json!([{ "_id": "co_cobalt", "name": "Cobalt Robotics" }, { "_id": "co_aurora", "name": "Aurora Freight" }])
        );
    }

    #[test]
    fn a_search_looks_at_values_and_not_at_names_of_fields() {
        let data = Dataset::made_up();
        assert_eq!(data.search(&[Model::Company], "renewalDate", 10)["total"], 0);
        assert_eq!(data.search(&[Model::Company], "cobalt RENEWAL", 10)["total"], 1);
    }

    #[test]
    fn what_is_created_can_be_found_changed_and_deleted() {
        let mut data = Dataset::made_up();
        let fields = json!({ "title": "Call Keiko" });
        let created = data.create(Model::Task, fields.as_object().unwrap_or(&Map::new()));
        let id = created["_id"].as_str().unwrap_or_default().to_owned();
        assert_eq!(data.search(&[Model::Task], "keiko call", 10)["total"], 1);
        let done = json!({ "status": "done", "_id": "other" });
        assert_eq!(
            data.update(Model::Task, &id, done.as_object().unwrap_or(&Map::new())).map(|r| r["_id"] == *id),
            Some(true)
        );
        assert!(data.delete(Model::Task, &id));
        assert!(data.get(Model::Task, &id).is_none());
    }
}
