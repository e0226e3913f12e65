//! Messages to the ledger: what a plan tells, how it is signed, and how often it is tried.

use std::sync::Arc;
use std::time::Duration;

use domain::ports::OutRequest;

use super::bank::Order;
use super::happening::What;
use super::message::Statement;
use super::script::{Changes, Message, Plan, When};
use super::teller::Teller;

/// How long after a failed try the next one follows. Then the bank gives up.
const RETRIES: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(120),
    Duration::from_secs(600),
];
/// The ledger must have answered by then.
const DEADLINE: Duration = Duration::from_secs(10);
/// How far in the past an `old` message is signed: twice the tolerance.
const OLD_BY_S: i64 = 600;

/// A message, ready to be sent any number of times.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    id: String,
    status: String,
    body: Vec<u8>,
    forged: bool,
    old: bool,
}

impl Teller {
    /// Tells what a plan says about `outcome`.
    pub(super) async fn tell(self: &Arc<Self>, order: &Order, plan: &Plan, outcome: Statement) {
        let letters = self.letters(order, plan, &outcome);
        if order.script.late && !letters.is_empty() {
            self.wait(&order.id, When::Late).await;
        }
        for (when, letter) in letters {
            self.wait(&order.id, when).await;
            self.send(order, letter).await;
        }
    }

    /// The messages of a plan in the order in which they are sent.
    fn letters(&self, order: &Order, plan: &Plan, outcome: &Statement) -> Vec<(When, Letter)> {
        let honest = || self.letter(outcome, false, false);
        let mut letters = vec![];
        match plan {
            Plan::Lost => return letters,
            Plan::Honest => letters.push((When::Now, honest())),
            Plan::Told(messages) => {
                for message in messages {
                    match message {
                        Message::New {
                            when,
                            changes,
                            forged,
                            old,
                        } => {
                            letters.push((
                                *when,
                                self.changed(order, outcome, changes, *forged, *old),
                            ));
                        }
                        Message::Again { when, times } => {
                            // A repeat without anything before it repeats the honest message.
                            if letters.is_empty() {
                                letters.push((When::Now, honest()));
                            }
                            let last = letters.last().map(|(_, letter)| letter.clone());
                            letters.extend(last.into_iter().flat_map(|letter| {
                                std::iter::repeat_n(
                                    (*when, letter),
                                    usize::try_from(*times).unwrap_or(1),
                                )
                            }));
                        }
                    }
                }
            }
        }
        if order.script.reorder {
            let processing = self
                .identity
                .plain(order, "processing", outcome.occurred_at);
            letters.insert(0, (When::Now, self.letter(&processing, false, false)));
            letters.reverse();
        }
        letters
    }

    fn changed(
        &self,
        order: &Order,
        outcome: &Statement,
        changes: &Changes,
        forged: bool,
        old: bool,
    ) -> Letter {
        let invented = self.new_id("st_");
        self.letter(
            &outcome.clone().changed(changes, order.amount, &invented),
            forged,
            old,
        )
    }

    pub(super) fn letter(&self, statement: &Statement, forged: bool, old: bool) -> Letter {
        let (id, status) = (self.new_id("sm_").to_string(), statement.status.clone());
        Letter {
            id,
            status,
            body: statement.to_bytes(),
            forged,
            old,
        }
    }

    /// Sends a message; what fails is tried again in the background. A message that is forged or
    /// old on purpose is sent once.
    pub(super) async fn send(self: &Arc<Self>, order: &Order, letter: Letter) {
        let taken = self.try_to_send(order, &letter, 1).await;
        if taken || letter.forged || letter.old {
            return;
        }
        let (teller, order) = (Arc::clone(self), order.clone());
        self.spawn(async move {
            for (index, pause) in RETRIES.into_iter().enumerate() {
                teller.clock.sleep(pause).await;
                if teller.try_to_send(&order, &letter, index + 2).await {
                    return;
                }
            }
        });
    }

    /// One try; true when the ledger took the message.
    async fn try_to_send(&self, order: &Order, letter: &Letter, attempt: usize) -> bool {
        let seconds = self.clock.now().seconds() - if letter.old { OLD_BY_S } else { 0 };
        let signed_id = if letter.forged { "forged" } else { &letter.id };
        let signature = (self.sign)(signed_id, seconds, &letter.body);
        let headers = [
            ("content-type", "application/json".to_owned()),
            ("user-agent", "counterfoil-sim-provider".to_owned()),
            ("webhook-id", letter.id.clone()),
            ("webhook-timestamp", seconds.to_string()),
            ("webhook-signature", signature),
        ];
        let answer = self
            .http
            .send(OutRequest {
                method: "POST",
                url: self.notify_url.clone(),
                headers: headers
                    .map(|(name, value)| (name.to_owned(), value))
                    .to_vec(),
                body: letter.body.clone(),
                deadline: DEADLINE,
                answer_bytes_max: 4096,
            })
            .await;
        let taken = answer
            .as_ref()
            .is_ok_and(|answer| (200..300).contains(&answer.status));
        let answer = answer.map_or_else(
            |error| error.as_str().to_owned(),
            |answer| answer.status.to_string(),
        );
        let (id, status) = (letter.id.clone(), letter.status.clone());
        self.happened(
            order,
            What::Told {
                status,
                id,
                attempt,
                answer,
            },
        );
        taken
    }
}
