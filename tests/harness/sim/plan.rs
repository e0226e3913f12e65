//! Plans: lists of steps, drawn from a seed, written as JSON, and the only input of a history.

use serde::{Deserialize, Serialize};

use super::bank::Registers;
use super::words::{Account, How, Said, Scenario, Twist};
use crate::world::Dice;

/// A whole history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Where the ledger's own chance comes from.
    pub seed: u64,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// One thing that happens, and what goes wrong meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What happens.
    pub act: Act,
    /// What goes wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trouble {
    /// The process dies at the nth point between two effects: before or after an append, or before
    /// or after a call to somebody else.
    Crash(u32),
    /// The next appends fail, one after the other.
    Store(Vec<Fault>),
}

/// What befalls one append.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// It is written, and the answer is lost.
    ReplyLost,
    /// It never arrives, and nobody knows.
    RequestLost,
    /// It is refused.
    NotApplied,
    /// The disk is full.
    Full,
    /// Nothing.
    Passes,
}

/// When the provider says it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum When {
    /// So many seconds ago.
    Ago(u32),
    /// It does not say.
    Unsaid,
}

/// What happens. Requests, attempts and messages are counted from zero; what does not exist makes a
/// step do nothing, so that any part of a plan is a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// A client creates a request; a bot does so from a quote.
    Create {
        /// Its idempotency key.
        key: u16,
        /// The shop's order.
        order: u8,
        /// The way of selling.
        scenario: Scenario,
        /// What is due.
        minor: i64,
        /// How long it may be paid.
        life_s: u32,
        /// Replace an open one.
        supersede: bool,
        /// By a bot.
        by_bot: bool,
    },
    /// Its client starts an attempt.
    Attempt {
        /// Of which request.
        request: u8,
        /// Where.
        account: Account,
        /// What becomes of the registration.
        registers: Registers,
    },
    /// Its client asks whether an attempt may be paid; without an amount, with the right one.
    Precheck {
        /// Of which request.
        request: u8,
        /// Which attempt.
        attempt: u8,
        /// The amount.
        minor: Option<i64>,
    },
    /// Its client calls it off.
    Cancel {
        /// Which.
        request: u8,
    },
    /// Its client passes on a customer's message.
    Notice {
        /// About which.
        request: u8,
    },
    /// An earlier command arrives again.
    Again {
        /// Which of the commands.
        command: u16,
    },
    /// Something happens at the provider.
    Happen {
        /// To which request.
        request: u8,
        /// And which attempt.
        attempt: u8,
        /// What.
        said: Said,
        /// What is odd about it.
        twist: Twist,
        /// When.
        when: When,
        /// The provider sends a message.
        told: bool,
        /// The provider says so when it is asked.
        kept: bool,
    },
    /// An earlier message arrives again, with the same bytes or signed anew.
    Deliver {
        /// Which.
        message: u16,
        /// Signed anew.
        anew: bool,
    },
    /// A person wants money back, and the provider is called for it.
    Refund {
        /// Of which request.
        request: u8,
        /// Which of its captures.
        capture: u8,
        /// Out of the part that counts.
        applied: bool,
        /// How much; all that is free where it is not said.
        minor: Option<i64>,
        /// What becomes of the call.
        call: Call,
    },
    /// The provider answers a refund of ours later.
    Answer {
        /// Which of the refunds.
        refund: u8,
        /// What.
        call: Call,
    },
    /// A person decides a case.
    Resolve {
        /// Of which request.
        request: u8,
        /// Which of its open cases.
        case: u8,
        /// How.
        how: How,
    },
    /// A person proposes that it counts as paid, or that it does not any more.
    Propose {
        /// Which.
        request: u8,
        /// Paid.
        pay: bool,
        /// Who.
        by: u8,
    },
    /// A person agrees with the last proposal, or does not.
    Decide {
        /// Which.
        request: u8,
        /// Agrees.
        approve: bool,
        /// Who.
        by: u8,
    },
    /// Time passes.
    Wait {
        /// So much.
        seconds: u32,
    },
    /// From now on providers answer no question, or answer again.
    Silence {
        /// They do not answer.
        silent: bool,
    },
}

/// What becomes of the one call for a refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// Nobody calls yet.
    None,
    /// The provider has it, as its reversal of this number.
    Named(u8),
    /// It says no.
    Declined,
    /// Its answer is lost.
    Lost,
}

/// What a plan is drawn from: how often each kind of thing happens in it.
struct Mood {
    dice: Dice,
    troubles: u64,
    twists: u64,
    /// People decide things.
    people: bool,
    refunds: u8,
    /// What is due for each request so far, and the attempts.
    due: Vec<i64>,
    commands: u16,
    messages: u16,
    /// Transactions so far, with their request, attempt and amount.
    captured: Vec<(u8, u8, u8, i64)>,
    txn: u8,
    /// What may well follow from what happened.
    next: Vec<Act>,
}

impl Plan {
    /// The plan of a seed.
    pub fn of(seed: u64) -> Self {
        let dice = Dice::new(seed.wrapping_mul(0x9e37_79b9).wrapping_add(17));
        let troubles = [0, 0, 4, 12][dice.below(4) as usize];
        let twists = [0, 5, 20][dice.below(3) as usize];
        let people = dice.below(3) > 0;
        let (due, captured) = (vec![], vec![]);
        let mut mood = Mood {
            dice,
            troubles,
            twists,
            people,
            refunds: 0,
            due,
            commands: 0,
            messages: 0,
            captured,
            txn: 0,
            next: vec![],
        };
        let length = 6 + mood.dice.below(30);
        let mut steps = vec![mood.create(), mood.attempt()];
        steps.extend((0..length).map(|_| mood.act()));
        let steps = steps.into_iter().map(|act| Step {
            trouble: mood.trouble(),
            act,
        });
        Self {
            seed,
            steps: steps.collect(),
        }
    }
}

impl Mood {
    fn one<T: Copy>(&self, of: &[T]) -> T {
        of[self.dice.below(of.len() as u64) as usize]
    }

    fn chance(&self, percent: u64) -> bool {
        self.dice.below(100) < percent
    }

    fn request(&self) -> u8 {
        self.dice.below(self.due.len() as u64) as u8
    }

    fn act(&mut self) -> Act {
        if !self.next.is_empty() && self.chance(60) {
            return self.next.remove(0);
        }
        let act = self.anything();
        self.foresee(&act);
        act
    }

    /// Some things follow from others more often than chance would have it.
    fn foresee(&mut self, act: &Act) {
        let next = match act {
            Act::Propose { request, by, .. } => Act::Decide {
                request: *request,
                approve: self.chance(85),
                by: if self.chance(25) { *by } else { 1 - by },
            },
            Act::Refund {
                request,
                capture,
                applied,
                ..
            } if self.chance(40) => Act::Refund {
                request: *request,
                capture: *capture,
                applied: *applied,
                minor: Some(self.due[usize::from(*request)]),
                call: Call::None,
            },
            Act::Refund {
                request,
                call: Call::Named(number),
                minor,
                ..
            } => {
                let Some(of) = self.captured.iter().find(|of| of.0 == *request).copied() else {
                    return;
                };
                let minor = minor.unwrap_or(of.3);
                self.told(of, Said::Refunded(of.2, minor, Some(*number)))
            }
            Act::Happen { said, .. } => {
                let txn = said.txn().unwrap_or_default();
                let Some(of) = self.captured.iter().find(|of| of.2 == txn).copied() else {
                    return;
                };
                match said {
                    Said::DisputeOpened(..) if self.chance(50) => {
                        self.told(of, Said::DisputeLost(txn))
                    }
                    Said::DisputeOpened(..) => self.told(of, Said::DisputeWon(txn)),
                    Said::Refunded(_, _, Some(id)) | Said::Voided(_, id) if self.chance(30) => {
                        self.told(of, Said::RefundFailed(txn, *id))
                    }
                    Said::Captured(..) if self.due.len() > 1 && self.chance(12) => {
                        let other = (of.0 + 1) % self.due.len() as u8;
                        self.commands += 1;
                        self.next.push(Act::Attempt {
                            request: other,
                            account: Account::Main,
                            registers: Registers::Well,
                        });
                        self.told((other, 0, txn, of.3), Said::Captured(txn, of.3))
                    }
                    Said::Captured(..) if self.people && self.chance(15) => Act::Resolve {
                        request: of.0,
                        case: 0,
                        how: self.one(&[How::Accept, How::Accept, How::Refund(0), How::Keep]),
                    },
                    _ => return,
                }
            }
            _ => return,
        };
        self.refunds += u8::from(matches!(next, Act::Refund { .. }));
        self.next.push(next);
    }

    /// A provider tells of money that came.
    fn told(&mut self, (request, attempt, ..): (u8, u8, u8, i64), said: Said) -> Act {
        self.messages += 1;
        Act::Happen {
            request,
            attempt,
            said,
            twist: Twist::Plain,
            when: When::Ago(0),
            told: true,
            kept: true,
        }
    }

    fn anything(&mut self) -> Act {
        match self.dice.below(100) {
            0..8 if self.due.len() < 3 => self.create(),
            0..22 => self.attempt(),
            22..26 => self.precheck(),
            26..30 => {
                self.commands += 1;
                Act::Cancel {
                    request: self.request(),
                }
            }
            30..34 => {
                self.commands += 1;
                Act::Notice {
                    request: self.request(),
                }
            }
            34..38 => Act::Again {
                command: self.dice.below(u64::from(self.commands) + 1) as u16,
            },
            38..50 if self.messages > 0 => {
                let message = self.dice.below(u64::from(self.messages)) as u16;
                Act::Deliver {
                    message,
                    anew: self.chance(70),
                }
            }
            50..66 => Act::Wait {
                seconds: self.one(&[7, 20, 40, 110, 307, 640, 1_207, 3_611, 90_000, 270_000]),
            },
            66..70 => Act::Silence {
                silent: self.chance(50),
            },
            70..84 if self.people => self.person(),
            _ => self.happen(),
        }
    }

    fn create(&mut self) -> Act {
        self.commands += 1;
        let minor = self.one(&[100, 1_000, 1_500]);
        self.due.push(minor);
        Act::Create {
            key: if self.chance(5) { 0 } else { self.commands },
            order: self.dice.below(2) as u8,
            scenario: self.one(&Scenario::ALL),
            minor,
            life_s: self.one(&[60, 600, 3_600]),
            supersede: self.chance(40),
            by_bot: self.chance(50),
        }
    }

    fn attempt(&mut self) -> Act {
        self.commands += 1;
        use Registers::{AnswerLost, Refuses, RequestLost, Well};
        Act::Attempt {
            request: self.request(),
            account: self.one(&[
                Account::Main,
                Account::Main,
                Account::Main,
                Account::Strict,
                Account::Blind,
            ]),
            registers: self.one(&[
                Well,
                Well,
                Well,
                Well,
                Well,
                Well,
                Refuses,
                AnswerLost,
                RequestLost,
            ]),
        }
    }

    fn precheck(&mut self) -> Act {
        self.commands += 1;
        let (request, attempt) = (self.request(), self.dice.below(2) as u8);
        Act::Precheck {
            request,
            attempt,
            minor: self.chance(30).then_some(77),
        }
    }

    fn person(&mut self) -> Act {
        let (request, by) = (self.request(), self.dice.below(2) as u8);
        let number = self.dice.below(3) as u8;
        let call = self.one(&[
            Call::None,
            Call::Named(number),
            Call::Named(number),
            Call::Declined,
            Call::Lost,
        ]);
        match self.dice.below(10) {
            0..3 => {
                self.refunds += 1;
                let due = self.due[usize::from(request)];
                Act::Refund {
                    request,
                    capture: self.dice.below(3) as u8,
                    applied: self.chance(70),
                    minor: self.one(&[None, Some(due), Some(due / 2), Some(10), Some(due + 1)]),
                    call,
                }
            }
            3 if self.refunds > 0 => Act::Answer {
                refund: self.dice.below(u64::from(self.refunds)) as u8,
                call,
            },
            3..7 => Act::Resolve {
                request,
                case: self.dice.below(4) as u8,
                how: self.one(&[How::Accept, How::Refund(0), How::Keep, How::Dismiss]),
            },
            7..=9 if self.chance(70) => Act::Propose {
                request,
                pay: self.chance(60),
                by,
            },
            _ => Act::Decide {
                request,
                approve: self.chance(80),
                by,
            },
        }
    }

    fn happen(&mut self) -> Act {
        let (mut request, mut attempt) = (self.request(), self.dice.below(3) as u8);
        let due = self.due[usize::from(request)];
        let said = match self.dice.below(100) {
            0..40 => {
                if !(self.chance(8) && self.txn > 0) {
                    self.txn += 1;
                }
                let minor = self.one(&[
                    due,
                    due,
                    due,
                    due / 2,
                    due / 2,
                    due + 1,
                    due - 2,
                    due + 50,
                    5,
                ]);
                self.captured.push((request, attempt, self.txn, minor));
                Said::Captured(self.txn, minor)
            }
            40..70 if !self.captured.is_empty() => {
                let (r, n, txn, minor) = self.one(&self.captured.clone());
                (request, attempt) = (r, n);
                let id = self.dice.below(3) as u8;
                let part = self.one(&[minor, minor / 2, 10, minor + 1]);
                match self.dice.below(10) {
                    0..3 => Said::Refunded(txn, part, Some(id).filter(|_| self.chance(95))),
                    3 => Said::RefundedInAll(txn, part),
                    4 => Said::Voided(txn, id),
                    5 => Said::RefundFailed(txn, id),
                    6 | 7 => Said::DisputeOpened(txn, self.chance(50).then_some(part)),
                    8 => Said::DisputeWon(txn),
                    _ => Said::DisputeLost(txn),
                }
            }
            70..78 => Said::Processing,
            78..81 => Said::Authorised,
            81..84 => Said::Unknown,
            84..87 => Said::Registered,
            87..90 => Said::SessionExpired,
            _ => Said::Declined,
        };
        use Twist::{AliasOf, ForeignAttempt, LiveMoney, NoAmount, OtherCurrency};
        use Twist::{OtherOrder, OtherPayee, Plain};
        let odd = matches!(said, Said::Captured(..)) && self.chance(self.twists);
        let alias = AliasOf(self.dice.below(u64::from(self.txn) + 1) as u8);
        let odds = [
            OtherPayee,
            OtherCurrency,
            OtherOrder,
            LiveMoney,
            NoAmount,
            ForeignAttempt,
            alias,
        ];
        let twist = if odd { self.one(&odds) } else { Plain };
        let told = self.chance(75);
        self.messages += u16::from(told);
        let when = self.one(&[
            When::Ago(0),
            When::Ago(0),
            When::Ago(0),
            When::Ago(900),
            When::Unsaid,
        ]);
        let kept = twist != ForeignAttempt && self.chance(90);
        Act::Happen {
            request,
            attempt,
            said,
            twist,
            when,
            told,
            kept,
        }
    }

    fn trouble(&self) -> Option<Trouble> {
        use Fault::{Full, NotApplied, Passes, ReplyLost, RequestLost};
        if !self.chance(self.troubles) {
            return None;
        }
        if self.chance(70) {
            return Some(Trouble::Crash(1 + self.dice.below(12) as u32));
        }
        let faults = 1 + self.dice.below(3);
        let fault = |_| self.one(&[ReplyLost, RequestLost, NotApplied, Full, Passes]);
        Some(Trouble::Store((0..faults).map(fault).collect()))
    }
}
