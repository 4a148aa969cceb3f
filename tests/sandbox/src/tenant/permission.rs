//! Permissions: what may be done with which data model.

use std::fmt;
use std::str::FromStr;

/// A data model of the tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Model {
    /// A customer.
    Company,
    /// A person at a customer.
    EndUser,
    /// A call, a meeting, a mail.
    Conversation,
    /// Something to do.
    Task,
    /// A page of text.
    Document,
}

impl Model {
    /// All of them, in the order of the consent page.
    pub const ALL: [Model; 5] = [Model::Company, Model::EndUser, Model::Conversation, Model::Task, Model::Document];

    /// As people write it.
    pub const fn title(self) -> &'static str {
        match self {
            Model::Company => "Company",
            Model::EndUser => "End User",
            Model::Conversation => "Conversation",
            Model::Task => "Task",
            Model::Document => "Document",
        }
    }

    /// As it stands in scopes and in the data set.
    pub const fn key(self) -> &'static str {
        match self {
            Model::Company => "company",
            Model::EndUser => "enduser",
            Model::Conversation => "conversation",
            Model::Task => "task",
            Model::Document => "document",
        }
    }

    /// Reads a model's name as callers write it: `Company`, `companies`, `End User`, `EndUser`, `end_users`.
    pub fn parse(name: &str) -> Option<Self> {
        let plain: String = name.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase();
        Self::ALL.into_iter().find(|model| {
            let key = model.key();
            plain == key || plain.strip_suffix('s') == Some(key) || (plain == "companies" && key == "company")
        })
    }
}

/// What may be done with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Read it.
    View,
    /// Make a new one.
    Create,
    /// Change it.
    Update,
    /// Remove it.
    Delete,
}

impl Action {
    /// All of them, in the order of the consent page.
    pub const ALL: [Action; 4] = [Action::View, Action::Create, Action::Update, Action::Delete];

    /// As people write it.
    pub const fn title(self) -> &'static str {
        match self {
            Action::View => "View",
            Action::Create => "Create",
            Action::Update => "Update",
            Action::Delete => "Delete",
        }
    }

    /// As it stands in scopes.
    pub const fn key(self) -> &'static str {
        match self {
            Action::View => "view",
            Action::Create => "create",
            Action::Update => "update",
            Action::Delete => "delete",
        }
    }
}

/// One action on one model; written `company.view`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission {
    /// On what.
    pub model: Model,
    /// To do what.
    pub action: Action,
}

impl Permission {
    /// One action on one model.
    pub const fn new(model: Model, action: Action) -> Self {
        Self { model, action }
    }

    /// Everything.
    pub fn all() -> Vec<Self> {
        Self::only(&Action::ALL)
    }

    /// Everything except deleting: what most Roles have.
    pub fn all_but_delete() -> Vec<Self> {
        Self::only(&[Action::View, Action::Create, Action::Update])
    }

    /// Reading only.
    pub fn views() -> Vec<Self> {
        Self::only(&[Action::View])
    }

    fn only(actions: &[Action]) -> Vec<Self> {
        Model::ALL.into_iter().flat_map(|model| actions.iter().map(move |&action| Self { model, action })).collect()
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.model.key(), self.action.key())
    }
}

impl FromStr for Permission {
    type Err = UnknownPermission;

    fn from_str(text: &str) -> Result<Self, UnknownPermission> {
        Self::all().into_iter().find(|permission| permission.to_string() == text).ok_or(UnknownPermission)
    }
}

/// A text that names no permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownPermission;

impl fmt::Display for UnknownPermission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a permission is written like company.view")
    }
}

impl std::error::Error for UnknownPermission {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_names_are_read_as_people_write_them() {
        for name in ["Company", "companies", "company"] {
            assert_eq!(Model::parse(name), Some(Model::Company), "{name}");
        }
        for name in ["End User", "EndUser", "end_users", "endusers"] {
            assert_eq!(Model::parse(name), Some(Model::EndUser), "{name}");
        }
        assert_eq!(Model::parse("Invoice"), None);
    }

    #[test]
    fn permissions_read_back_what_they_write() {
        for permission in Permission::all() {
            assert_eq!(permission.to_string().parse(), Ok(permission));
        }
    }
}
