//! `validate`: whether a configuration will do, as far as that can be said without doing
//! anything.

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
            let config = session.own_config(&config)?;
            let Session { provider, schema, report, .. } = session;
            provider.validate_provider_config(&schema.provider, &config, report).await
        }
        ValidateOptions::Resource { resource, config } => {
            let resource = session.resource(&resource).await?;
            let config = session.config(&config, &resource)?;
            let Session { provider, report, .. } = session;
            provider.validate_resource(&resource, &config, report).await
        }
        ValidateOptions::Data { resource, config } => {
            let source = session.data_source(&resource)?;
            let config = session.config(&config, &source)?;
            let Session { provider, report, .. } = session;
            provider.validate_data_source(&source, &config, report).await
        }
    }
}
