//! What is wrong right now. Read from the views and from the parts' own words; nothing is kept.

use std::time::Duration;

use domain::ids::MerchantId;
use domain::ports::AlertKind;
use domain::subscriber::PausedWhy;
use domain::time::Timestamp;
use projections::views::delivery_queue::SubscriberRow;
use projections::views::exceptions::CaseState;

use crate::app::App;
use crate::app::cases::CaseFilter;
use crate::app::error::AppError;
use crate::work::health::Health;

/// What is counted is counted up to this many.
const COUNT_MAX: usize = 500;

/// When waiting becomes trouble.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// A delivery that is open so long is late.
    pub late: Duration,
    /// A subscriber that does not answer for so long is away.
    pub away: Duration,
    /// A part that does not work for so long fails.
    pub part: Duration,
}

/// One trouble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) kind: AlertKind,
    pub(super) subject: String,
    pub(super) merchant: Option<MerchantId>,
    pub(super) text: String,
    pub(super) to_do: String,
    /// Since when, where that is known of the trouble itself.
    pub(super) since: Option<Timestamp>,
    /// Told only when it has been so for this long.
    pub(super) settles: Duration,
}

impl Condition {
    /// Names the trouble from its beginning to its end.
    pub(super) fn key(&self) -> String {
        format!("{}|{}", self.kind.as_str(), self.subject)
    }
}

/// Parts that do not work, or that ask for a person; `except` is the part that tells of it.
pub(super) fn of_parts(health: &Health, except: &str, patience: Patience) -> Vec<Condition> {
    let mut found = vec![];
    for (name, part) in health.parts() {
        let (kind, settles) = match (part.ok, part.alarm) {
            (false, _) => (AlertKind::PartFails, patience.part),
            (true, true) => (AlertKind::PartAlarms, Duration::ZERO),
            (true, false) => continue,
        };
        if name == except {
            continue;
        }
        let note = part.note.unwrap_or_default();
        found.push(Condition {
            kind,
            text: format!("{name}: {note}"),
            subject: name,
            merchant: None,
            to_do: "GET /health/ready shows every part".to_owned(),
            since: None,
            settles,
        });
    }
    found
}

/// Trouble with subscribers, deliveries and cases.
///
/// # Errors
/// Outages of the views: then nothing is known, neither good nor bad.
pub(super) async fn of_work(app: &App, patience: Patience) -> Result<Vec<Condition>, AppError> {
    let now = app.recorder.now();
    let mut found = vec![];
    for row in app.subscriber_rows().await? {
        if !row.subscriber.removed {
            of_subscriber(app, &row, patience, now, &mut found).await?;
        }
    }
    for merchant in app.registry.merchants() {
        let merchant = &merchant.merchant;
        let overdue = CaseFilter {
            overdue: true,
            ..CaseFilter::of(CaseState::Open)
        };
        let page = app.list_cases(merchant, &overdue, None, COUNT_MAX).await?;
        if !page.rows.is_empty() {
            let count = counted(page.rows.len());
            found.push(Condition {
                kind: AlertKind::CasesOverdue,
                subject: merchant.to_string(),
                merchant: Some(merchant.clone()),
                text: format!("{count} of {merchant} should have been decided by now"),
                to_do: format!("counterfoil exceptions list --merchant {merchant} --overdue"),
                since: None,
                settles: Duration::ZERO,
            });
        }
    }
    Ok(found)
}

async fn of_subscriber(
    app: &App,
    row: &SubscriberRow,
    patience: Patience,
    now: Timestamp,
    found: &mut Vec<Condition>,
) -> Result<(), AppError> {
    let known = &row.subscriber;
    let (id, merchant) = (&known.id, &known.merchant);
    let mut add = |kind, text, to_do, since| {
        found.push(Condition {
            kind,
            subject: id.to_string(),
            merchant: Some(merchant.clone()),
            text,
            to_do,
            since,
            settles: Duration::ZERO,
        });
    };
    let show = format!("counterfoil subscribers show {id} --merchant {merchant}");
    let failed = app.failed_deliveries(id, COUNT_MAX).await?;
    if failed > 0 {
        let text = format!("{} of {id} ended without success", counted(failed));
        let to_do = format!(
            "counterfoil deliveries list --merchant {merchant} --subscriber {id} --state dead_lettered --state quarantined; then redrive or abandon"
        );
        add(AlertKind::DeliveriesFailed, text, to_do, None);
    }
    if known.paused == Some(PausedWhy::Gone) {
        let text = format!("{id} answered 410 Gone and was paused; its events wait");
        let to_do = format!("{show}; then give it another address, resume or remove it");
        add(AlertKind::SubscriberGone, text, to_do, None);
        return Ok(());
    }
    if known.paused.is_some() {
        // A person did that and knows.
        return Ok(());
    }
    if let Some(since) = row.breaker.open_since()
        && now.since(since) >= patience.away
    {
        let text = format!("{id} has not answered since {since}; its events wait");
        add(AlertKind::SubscriberAway, text, show, Some(since));
    }
    if let Some(oldest) = app.oldest_open_delivery(id).await?
        && now.since(oldest.queued_at) >= patience.late
    {
        let text = format!(
            "{id} has not got an event that was queued at {}",
            oldest.queued_at
        );
        let to_do = format!(
            "counterfoil deliveries show {} --merchant {merchant}",
            oldest.id
        );
        add(
            AlertKind::DeliveriesLate,
            text,
            to_do,
            Some(oldest.queued_at),
        );
    }
    Ok(())
}

fn counted(count: usize) -> String {
    match count {
        1 => "one".to_owned(),
        COUNT_MAX.. => format!("{COUNT_MAX} or more"),
        _ => count.to_string(),
    }
}
