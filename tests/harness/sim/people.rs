//! What people decide in a plan, as commands to the use-cases.

use api::app::error::AppError;
use domain::ids::{OperatorId, PaymentRequestId, ProposalId, ProviderRef, RefundId};
use domain::payment::event::{Grounds, Part, Proposed};
use domain::payment::{CaptureKey, Command, Propose, RefundAnswer, Request as Real};
use domain::payment::{RequestRefund, Resolve};

use super::books::World;
use super::plan::{Act, Call};
use super::run::{Failure, History};
use super::words::{Account, Asked, How, Money};

/// 26 letters that stand for a number.
fn letters(number: u8) -> String {
    let letter = |place: u32| {
        let part = u32::from(number).checked_shr(4 * place).unwrap_or(0) & 15;
        char::from(b'a' + part as u8)
    };
    (0..26).map(letter).collect()
}

fn refund(number: u8) -> RefundId {
    RefundId::parse(format!("rf_{}", letters(number))).unwrap()
}

fn proposal(number: u8) -> ProposalId {
    ProposalId::parse(format!("ov_{}", letters(number))).unwrap()
}

fn person(number: u8) -> OperatorId {
    OperatorId::parse(["anna", "boris"][usize::from(number % 2)]).unwrap()
}

/// The plan's name for money of the ledger.
fn money(key: &CaptureKey) -> Option<Money> {
    let account = Account::ALL
        .into_iter()
        .find(|a| a.name() == key.account.as_str())?;
    let txn = key.transaction.as_str().strip_prefix('t')?.parse().ok()?;
    Some(Money { account, txn })
}

impl History {
    /// One act of a person; without what it is about, nothing happens.
    pub(super) async fn person(&mut self, act: &Act) -> Result<(), Failure> {
        match act {
            Act::Refund {
                request,
                capture,
                applied,
                minor,
                call,
            } => {
                let Some((r, real)) = self.real(*request).await else {
                    return Ok(());
                };
                let keys: Vec<CaptureKey> = real.captures().keys().cloned().collect();
                let Some(place) = usize::from(*capture).checked_rem(keys.len()) else {
                    return Ok(());
                };
                let part = if *applied {
                    Part::Applied
                } else {
                    Part::Unapplied
                };
                let minor = minor.unwrap_or(real.available(&keys[place], part));
                let Some(of) = money(&keys[place]) else {
                    return Ok(());
                };
                let number = self.next_refund(r, of);
                let capture = keys[place].clone();
                let asked = RequestRefund {
                    refund: refund(number),
                    capture,
                    part,
                    minor,
                };
                let command = Command::RequestRefund(asked);
                let applied = *applied;
                self.decide(r, &command, |world, _| {
                    world.requests[r].refund(number, of, applied, minor)
                })
                .await?;
                self.call(number, *call).await
            }
            Act::Answer { refund, call } => self.call(*refund, *call).await,
            Act::Resolve { request, case, how } => {
                let Some((r, real)) = self.real(*request).await else {
                    return Ok(());
                };
                let open = real.cases().iter().filter(|(_, case)| case.open());
                let open: Vec<_> = open.collect();
                let Some(place) = usize::from(*case).checked_rem(open.len()) else {
                    return Ok(());
                };
                let (id, known) = (open[place].0.clone(), open[place].1);
                let about = self.plain(r, &known.about);
                let of = known.capture.as_ref().and_then(money);
                let (how, resolve) = match how {
                    How::Accept => (How::Accept, Resolve::Accept { with: vec![] }),
                    How::Keep => (How::Keep, Resolve::KeepAsIncome),
                    How::Dismiss => (How::Dismiss, Resolve::Dismiss),
                    How::Refund(_) => {
                        let Some(of) = of else { return Ok(()) };
                        let number = self.next_refund(r, of);
                        (
                            How::Refund(number),
                            Resolve::Refund {
                                refund: refund(number),
                            },
                        )
                    }
                };
                let kind = known.kind.as_str();
                let command = Command::ResolveCase {
                    case: id,
                    how: resolve,
                };
                self.decide(r, &command, |world, _| {
                    world.resolve(r, &(kind, about.clone(), of), how)
                })
                .await
            }
            Act::Propose { request, pay, by } => {
                let Some((r, _)) = self.real(*request).await else {
                    return Ok(());
                };
                self.proposals += 1;
                let (number, pay, by) = (self.proposals, *pay, *by);
                self.names
                    .insert(proposal(number).to_string(), format!("p{number}"));
                let decision = if pay { Proposed::Pay } else { Proposed::Revoke };
                let grounds = Grounds::None;
                let command = Command::Propose(Propose {
                    proposal: proposal(number),
                    decision,
                    by: person(by),
                    grounds,
                });
                self.decide(r, &command, |world, now| {
                    world.requests[r].propose(number, pay, by, now)
                })
                .await
            }
            Act::Decide {
                request,
                approve,
                by,
            } => {
                let r = usize::from(*request);
                let last = self.worlds[0]
                    .requests
                    .get(r)
                    .and_then(|request| request.proposal.as_ref());
                let (Some(number), by) = (last.map(|proposal| proposal.id), *by) else {
                    return Ok(());
                };
                if *approve {
                    let command = Command::Approve {
                        proposal: proposal(number),
                        by: person(by),
                    };
                    self.decide(r, &command, |world, now| world.approve(r, by, now))
                        .await
                } else {
                    let command = Command::Reject {
                        proposal: proposal(number),
                    };
                    self.decide(r, &command, |world, _| world.requests[r].reject())
                        .await
                }
            }
            _ => Ok(()),
        }
    }

    /// The one call for a refund, as `work` writes it ahead.
    async fn call(&mut self, number: u8, call: Call) -> Result<(), Failure> {
        let Some((r, of)) = self.refunds.get(usize::from(number)).copied() else {
            return Ok(());
        };
        let known = |world: &World| world.requests[r].refunds.contains_key(&number);
        if call == Call::None || !self.worlds.iter().all(known) {
            return Ok(());
        }
        let id = refund(number);
        let submit = Command::SubmitRefund { refund: id.clone() };
        self.decide(r, &submit, |world, _| {
            let request = &mut world.requests[r];
            if request.refunds[&number].asked == Asked::Nobody {
                request.set_refund(number, Asked::Called);
            }
            true
        })
        .await?;
        let name = |number| format!("r{}-{number}", of.txn);
        let (answer, told) = match call {
            Call::Named(it) => (
                RefundAnswer::Accepted(ProviderRef::parse(name(it)).unwrap()),
                Some(Some(name(it))),
            ),
            Call::Declined => (
                RefundAnswer::Declined {
                    provider_status: None,
                },
                Some(None),
            ),
            Call::None | Call::Lost => (
                RefundAnswer::Unknown {
                    why: "timeout".to_owned(),
                },
                None,
            ),
        };
        let command = Command::AnswerRefund { refund: id, answer };
        self.decide(r, &command, |world, _| {
            world.requests[r].answered(number, told.clone());
            true
        })
        .await
    }

    fn next_refund(&mut self, r: usize, of: Money) -> u8 {
        let number = self.refunds.len() as u8;
        self.refunds.push((r, of));
        self.names
            .insert(refund(number).to_string(), format!("f{number}"));
        number
    }

    async fn real(&self, request: u8) -> Option<(usize, Real)> {
        let r = usize::from(request);
        let id = PaymentRequestId::parse(self.ids.get(r)?).ok()?;
        let folded = self.ledger.bare().fold_request(&id, None).await.ok()?;
        folded.state.map(|real| (r, real))
    }

    /// Rows H6 and H8, as `work` looks at them when their time may be over.
    pub(super) async fn look_at_overrides(&mut self) -> Result<(), Failure> {
        for r in 0..self.ids.len() {
            let waits = |world: &World| {
                let request = &world.requests[r];
                request.decided.is_some() || request.proposal.is_some()
            };
            if !self.worlds.iter().any(waits) {
                continue;
            }
            self.decide(r, &Command::CheckOverrides, |_, _| true)
                .await?;
        }
        Ok(())
    }

    /// A command of a person; repeated until it is answered, whatever happens meanwhile.
    async fn decide(
        &mut self,
        r: usize,
        command: &Command,
        predict: impl Fn(&mut World, i64) -> bool,
    ) -> Result<(), Failure> {
        let id = PaymentRequestId::parse(&self.ids[r]).unwrap();
        for _ in 0..8 {
            let now = self.ledger.now();
            match self.ledger.execute(&id, command).await {
                Some(Err(
                    AppError::Payment(_)
                    | AppError::OpenRequestExists { .. }
                    | AppError::OrderAlreadyPaid { .. },
                )) => {
                    return self.answered(command_name(command), 409, now, |w, now| {
                        code(predict(w, now))
                    });
                }
                Some(Ok(_)) => {
                    return self.answered(command_name(command), 200, now, |w, now| {
                        code(predict(w, now))
                    });
                }
                Some(Err(_)) => self.ledger.settle().await,
                None => {}
            }
            if self.ledger.fuse().blown() {
                self.ledger.restart().await;
            }
        }
        Ok(())
    }
}

fn code(accepted: bool) -> u16 {
    if accepted { 200 } else { 409 }
}

fn command_name(command: &Command) -> &'static str {
    match command {
        Command::RequestRefund(_) => "refund",
        Command::ResolveCase { .. } => "resolve",
        Command::Propose(_) => "propose",
        Command::Approve { .. } => "approve",
        Command::Reject { .. } => "reject",
        _ => "a command",
    }
}
