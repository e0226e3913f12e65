//! What is configured becomes an event when it changes, with who applied it.

use domain::config::{MerchantConfig, apply, evolve};
use domain::digest::Digest32;
use domain::ids::MerchantId;
use domain::instance::{self, Instance};
use domain::ports::Expect;
use domain::stream::StreamId;

use super::context::Context;
use super::error::AppError;
use super::recorder::{Decision, Draft, Recorder};

/// Applies a merchant's configuration; true when it changed.
///
/// # Errors
/// [`AppError`].
pub async fn apply_configuration(
    recorder: &Recorder,
    context: &Context,
    config: &MerchantConfig,
) -> Result<bool, AppError> {
    let stream = StreamId::config(&config.merchant);
    let folded = recorder.fold(&stream, None, evolve).await?;
    let events = apply(folded.state.as_ref(), config);
    if events.is_empty() {
        return Ok(false);
    }
    let decision = Decision {
        stream: &stream,
        expect: folded.expect(),
        merchant: Some(&config.merchant),
        command: "apply_configuration",
        context,
        drafts: events.iter().map(Draft::of).collect(),
        claims: vec![],
    };
    recorder.append(decision).await?;
    Ok(true)
}

/// The configuration of a merchant that is in force.
///
/// # Errors
/// [`AppError`].
pub async fn in_force(
    recorder: &Recorder,
    merchant: &MerchantId,
) -> Result<Option<MerchantConfig>, AppError> {
    Ok(recorder
        .fold(&StreamId::config(merchant), None, evolve)
        .await?
        .state)
}

/// Makes the instance's first event, or checks that settings and keys belong to it.
///
/// # Errors
/// [`instance::Mismatch`] as a bug of the set-up, outages.
pub async fn claim_instance(
    recorder: &Recorder,
    context: &Context,
    link_key: Digest32,
) -> Result<Result<Instance, instance::Mismatch>, AppError> {
    let stream = StreamId::instance();
    let instance_key = recorder.key().fingerprint();
    let origin = recorder.origin().to_owned();
    let folded = recorder.fold(&stream, None, instance::evolve).await?;
    if let Some(known) = folded.state {
        return Ok(known
            .admits(&origin, instance_key, link_key)
            .map(|()| known));
    }
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let event = instance::Event::Created {
        origin: origin.clone(),
        instance_key,
        link_key,
        version,
    };
    let decision = Decision {
        stream: &stream,
        expect: Expect::NoStream,
        merchant: None,
        command: "init",
        context,
        drafts: vec![Draft::of(&event)],
        claims: vec![],
    };
    recorder.append(decision).await?;
    Ok(Ok(Instance {
        origin,
        instance_key,
        link_key,
    }))
}
