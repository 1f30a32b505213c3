//! What all commands have: a provider, its schema, where they say what they do, and what
//! went wrong.

use std::collections::BTreeMap;
use std::path::Path;

use crate::config;
use crate::config::Document;
use crate::interrupt::Interrupted;
use crate::keep::keep;
use crate::options::ConfigOptions;
use crate::options::ResourceName;
use crate::output::Output;
use crate::provider::IdentitySchema;
use crate::provider::Provider;
use crate::report::Failed;
use crate::report::Report;
use crate::report::sentence;
use crate::resource::Object;
use crate::resource::Resource;
use crate::state::Kept;
use crate::state::LockedState;
use crate::state::StateError;
use crate::state::StateFile;
use crate::tfplugin::cty::Value;
use crate::tfplugin::diagnostic::Diagnostic;
use crate::tfplugin::schema::ProviderSchema;
use crate::tfplugin::schema::Schema;

/// The configurations that were given.
#[derive(Clone, Debug)]
pub struct Documents {
    pub config: Document,
    pub provider: Document,
}

/// One run with one provider.
#[derive(Debug)]
pub struct Session<'a> {
    pub provider: &'a Provider,
    pub schema: ProviderSchema,
    identities: BTreeMap<String, IdentitySchema>,
    /// As it was written: the command's, and the provider's.
    documents: Documents,
    pub interrupted: Interrupted,
    pub output: Output,
    pub report: Report,
}

impl<'a> Session<'a> {
    /// Asks the provider what it has.
    pub async fn new(
        provider: &'a Provider,
        documents: Documents,
        interrupted: Interrupted,
        mut output: Output,
    ) -> (Self, Result<(), Failed>) {
        let mut report = Report::default();
        output.set("provider", provider.describe());
        let schema = provider.schema(&mut report).await;
        let result = schema.as_ref().map(drop).map_err(|failed| *failed);
        let schema = schema.unwrap_or_default();
        let identities = BTreeMap::new();
        let session = Self { provider, schema, identities, documents, interrupted, output, report };
        (session, result)
    }

    /// Gives the provider its configuration, which it validates first.
    pub async fn configure(&mut self, allow_deferral: bool) -> Result<(), Failed> {
        let Self { provider, schema, documents, report, .. } = self;
        let schema = &schema.provider;
        let document = documents.provider.clone();
        let options = ConfigOptions::default();
        let config = config::read(document, &options, &schema.block, &provider.subject(), report)?;
        provider.validate_provider_config(schema, &config, report).await?;
        provider.configure(schema, &config, allow_deferral, report).await
    }

    /// The configuration of a resource or a data source.
    pub fn config(
        &mut self,
        options: &ConfigOptions,
        resource: &Resource,
    ) -> Result<Value, Failed> {
        let document = self.documents.config.clone();
        config::read(document, options, resource.block(), &resource.address, &mut self.report)
    }

    /// The provider's own configuration, where it is the command's.
    pub fn own_config(&mut self, options: &ConfigOptions) -> Result<Value, Failed> {
        let Self { provider, schema, documents, report, .. } = self;
        let mut document = documents.provider.clone();
        document.extend(documents.config.clone());
        config::read(document, options, &schema.provider.block, &provider.subject(), report)
    }

    /// A resource of the provider.
    pub async fn resource(&mut self, name: &ResourceName) -> Result<Resource, Failed> {
        let address = format!("{}.{}", name.kind, name.name);
        let schema = self.find(&name.kind, &address, "resource type", |all| &all.resources)?;
        if self.identities.is_empty() {
            self.identities = self.provider.identity_schemas().await;
        }
        let identity = self.identities.get(&name.kind).cloned();
        let has_meta = self.schema.provider_meta.is_some();
        Ok(Resource::new(name, address, schema, identity, has_meta))
    }

    /// A data source of the provider.
    pub fn data_source(&mut self, name: &ResourceName) -> Result<Resource, Failed> {
        let address = format!("data.{}.{}", name.kind, name.name);
        let schema = self.find(&name.kind, &address, "data source", |all| &all.data_sources)?;
        let has_meta = self.schema.provider_meta.is_some();
        Ok(Resource::new(name, address, schema, None, has_meta))
    }

    fn find(
        &mut self,
        kind: &str,
        subject: &str,
        what: &str,
        among: impl Fn(&ProviderSchema) -> &BTreeMap<String, Schema>,
    ) -> Result<Schema, Failed> {
        let all = among(&self.schema);
        if let Some(schema) = all.get(kind) {
            return Ok(schema.clone());
        }
        let detail = no_such(&self.provider.address.to_string(), what, kind, all.keys());
        Err(self.report.fail(subject, &format!("Invalid {what}"), detail))
    }

    /// What is kept of a resource, if anything is.
    pub fn load(&mut self, file: &StateFile, resource: &Resource) -> Result<Option<Kept>, Failed> {
        let Resource { address, kind, .. } = resource;
        let kept = file.load().map_err(|error| {
            self.report.fail(address, "Failed to read the state", sentence(&error))
        })?;
        let Some(kept) = kept else { return Ok(None) };
        if kept.kind != *kind {
            let path = file.path().display();
            let detail =
                format!("{path} keeps a resource of the type {}, not of {kind}.", kept.kind);
            return Err(self.report.fail(address, "The state is of something else", detail));
        }
        let ours = &self.provider.address;
        let is_ours = kept.provider.parse().is_ok_and(|theirs| ours.is_like(&theirs));
        if !is_ours {
            let detail = format!("It was kept with {}, and is used with {ours}.", kept.provider);
            let warning = Diagnostic::warning("The state is of another provider", detail);
            self.report.add(address, warning);
        }
        Ok(Some(kept))
    }

    /// Keeps what there is of a resource now.
    pub fn keep(
        &mut self,
        file: &LockedState,
        resource: &Resource,
        object: Option<&Object>,
    ) -> Result<(), Failed> {
        let Self { provider, output, report, .. } = self;
        keep(&provider.address, file, resource, object, output, report)
    }

    /// Takes a state for this run, before anything is done that would have to be kept.
    pub fn lock(&mut self, file: &Path, subject: &str) -> Result<LockedState, Failed> {
        StateFile::new(file).lock().map_err(|error| {
            let summary = match error {
                StateError::InUse { .. } => "The state is in use",
                _ => "Failed to write the state",
            };
            let detail = format!("Nothing was done. {}", sentence(&error));
            self.report.fail(subject, summary, detail)
        })
    }
}

/// How many names a message has at most.
const MOST_NAMES: usize = 30;

/// That a provider does not have something, and what it has.
pub fn no_such<'a>(
    provider: &str,
    what: &str,
    name: &str,
    names: impl Iterator<Item = &'a String>,
) -> String {
    let mut names: Vec<&str> = names.map(String::as_str).collect();
    let more = names.len().saturating_sub(MOST_NAMES);
    names.truncate(MOST_NAMES);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let has = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    format!("The provider {provider} has no {what} {name:?}; it has: {has}{more}.")
}
