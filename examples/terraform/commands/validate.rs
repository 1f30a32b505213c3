//! `validate`: whether a configuration will do, as far as that can be said without doing
//! anything.

use crate::config;
use crate::options::ConfigOptions;
use crate::options::ValidateOptions;
use crate::report::Failed;
use crate::session::Session;

pub async fn run(session: &mut Session<'_>, what: ValidateOptions) -> Result<(), Failed> {
    let result = validate(session, what).await;
    session.output.set("valid", result.is_ok());
    result?;
    let style = session.output.style;
    let success = style.bold(&style.green("Success!"));
    session.output.say(&format!("{success} The configuration is valid."));
    Ok(())
}

async fn validate(session: &mut Session<'_>, what: ValidateOptions) -> Result<(), Failed> {
    match what {
        ValidateOptions::Provider { config } => {
            let file = config.config.or(session.provider_config());
            let config = ConfigOptions { config: file, ..config };
            let schema = session.schema.provider.clone();
            let subject = session.provider.subject();
            let Session { provider, report, .. } = session;
            let config = config::read(&config, &schema.block, &subject, report)?;
            provider.validate_provider_config(&schema, &config, report).await
        }
        ValidateOptions::Resource { resource, config } => {
            let resource = session.resource(&resource).await?;
            let Session { provider, report, .. } = session;
            let config = config::read(&config, resource.block(), &resource.address, report)?;
            provider.validate_resource(&resource, &config, report).await
        }
        ValidateOptions::Data { resource, config } => {
            let resource = session.data_source(&resource)?;
            let Session { provider, report, .. } = session;
            let config = config::read(&config, resource.block(), &resource.address, report)?;
            provider.validate_data_source(&resource, &config, report).await
        }
    }
}
