//! What providers ask before money moves, answered from the stream alone: no view, no provider and no
//! sealed evidence is waited for.

use domain::actor::Actor;
use domain::config::ProviderAccount;
use domain::payment::Precheck;
use domain::payment::claims::ref_key;
use domain::payment::event::PrecheckVerdict;
use domain::ports::{Acknowledge, ClaimSpace, InboundMethod, Question};

use super::App;
use super::context::Context;
use super::error::AppError;
use super::observations::request_of;
use super::receive::entry_of;

impl App {
    /// The answer to a question of this account's provider (rows A8 to A10). A reference of nobody is
    /// refused and leaves nothing; so is what cannot be written down.
    pub(super) async fn answer_question(
        &self,
        config: &ProviderAccount,
        question: Question,
        method: InboundMethod,
    ) -> Acknowledge {
        let started = self.recorder.clock().monotonic();
        let answer = match self.ask_stream(config, question, method).await {
            Ok(Some(PrecheckVerdict::Allowed {})) => Acknowledge::Allowed,
            Ok(Some(PrecheckVerdict::Refused { .. }) | None) => Acknowledge::Refused,
            Err(error) => {
                tracing::warn!(account = %config.account, error = %error, "precheck.not_answered");
                Acknowledge::Busy
            }
        };
        let took = self.recorder.clock().monotonic().saturating_sub(started);
        metrics::histogram!("counterfoil_precheck_seconds", "account" => config.account.to_string())
            .record(took);
        answer
    }

    async fn ask_stream(
        &self,
        config: &ProviderAccount,
        question: Question,
        method: InboundMethod,
    ) -> Result<Option<PrecheckVerdict>, AppError> {
        let (provider, account) = (&config.provider, &config.account);
        let key = ref_key(
            self.recorder.key(),
            provider,
            account,
            &question.our_reference,
        );
        let store = self.recorder.store();
        let Some(owner) = store.find_claim(ClaimSpace::Ref, &key).await? else {
            return Ok(None);
        };
        let id =
            request_of(&owner.owner).ok_or_else(|| AppError::bug("a ref claim of no request"))?;
        let actor = Actor::provider(provider, account, "precheck");
        let other_payee = matches!(
            (&config.payee, &question.payee),
            (Some(ours), Some(theirs)) if ours != theirs
        );
        let precheck = Precheck {
            attempt_no: owner.detail,
            account: account.clone(),
            other_payee,
            amount: question.amount,
        };
        let context = Context::of(actor, entry_of(method));
        let (verdict, _) = self.execute_precheck(&id, &context, precheck).await?;
        Ok(Some(verdict))
    }
}
