//! Draws a plan from a seed: what happens how often, and what may well follow from what.

use super::bank::Registers;
use super::plan::{Act, Call, Fault, Plan, Step, Trouble, When};
use super::words::{Account, How, Said, Scenario, Twist};
use crate::world::Dice;

/// What a plan is drawn from: how often each kind of thing happens in it.
struct Mood {
    dice: Dice,
    troubles: u64,
    twists: u64,
    /// People decide things.
    people: bool,
    refunds: u8,
    /// What is due for each request so far, and for which order.
    due: Vec<i64>,
    orders: Vec<u8>,
    commands: u16,
    messages: u16,
    quotes: u8,
    /// Orders that no attempt of ours made, with their money.
    strays: Vec<(Account, u8, i64)>,
    /// Transactions so far, with their request, attempt and amount.
    captured: Vec<(u8, u8, u8, i64)>,
    txn: u8,
    /// What may well follow from what happened, and from that.
    next: Vec<Act>,
    later: Vec<Act>,
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
            orders: vec![],
            commands: 0,
            messages: 0,
            quotes: 0,
            strays: vec![],
            captured,
            txn: 0,
            next: vec![],
            later: vec![],
        };
        let length = 6 + mood.dice.below(30);
        let mut steps = vec![mood.create(), mood.attempt()];
        steps.extend((0..length).map(|_| mood.act()));
        let steps = steps.into_iter().map(|act| Step {
            trouble: mood.trouble(&act),
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

    fn one_of<T: Clone>(&self, of: &[T]) -> T {
        of[self.dice.below(of.len() as u64) as usize].clone()
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
            } if self.chance(30) => Act::Refund {
                request: *request,
                capture: *capture,
                applied: *applied,
                minor: Some(self.due[usize::from(*request)]),
                call: Call::Lost,
            },
            Act::Refund {
                request,
                applied: false,
                ..
            } if self.chance(50) => Act::Resolve {
                request: *request,
                case: 0,
                how: How::Reassign(self.request()),
            },
            Act::Find { money, .. } if self.chance(30) => Act::Find {
                money: *money,
                how: self.one(&[How::Keep, How::GivenBack, How::Reassign(0)]),
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
                    Said::Captured(_, minor) if self.chance(6) => {
                        self.txn += 1;
                        let same = Said::Captured(self.txn, *minor);
                        // Only an answer to our question makes it one.
                        let alias = Act::Happen {
                            request: of.0,
                            attempt: of.1,
                            said: same,
                            twist: Twist::AliasOf(txn),
                            when: When::Ago(0),
                            told: false,
                            kept: true,
                        };
                        self.next.push(alias);
                        self.commands += 1;
                        Act::Notice { request: of.0 }
                    }
                    Said::Captured(..) if self.people && self.chance(25) => {
                        let other = How::Reassign(self.request());
                        let how = [
                            How::Accept,
                            How::Accept,
                            How::Refund(0),
                            How::Keep,
                            other,
                            other,
                        ];
                        let how = self.one(&how);
                        // What goes back of money that left is told where it went.
                        if let (How::Reassign(_), true) = (how, self.chance(60)) {
                            let part = self.one(&[of.3, of.3 / 2]);
                            let said = [
                                Said::Refunded(txn, part, Some(1)),
                                Said::RefundedInAll(txn, part),
                                Said::DisputeOpened(txn, None),
                            ];
                            let back = self.one_of(&said);
                            let back = self.told(of, back);
                            self.later.push(back);
                        }
                        Act::Resolve {
                            request: of.0,
                            case: 0,
                            how,
                        }
                    }
                    _ => return,
                }
            }
            _ => return,
        };
        self.refunds += u8::from(matches!(next, Act::Refund { .. }));
        self.next.push(next);
        self.next.append(&mut self.later);
    }

    /// A provider tells of money that came.
    fn told(&mut self, of: (u8, u8, u8, i64), said: Said) -> Act {
        self.messages += 1;
        Act::Happen {
            request: of.0,
            attempt: of.1,
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
                    ends: self.chance(70),
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
            66..69 => Act::Silence {
                silent: self.chance(50),
            },
            69..71 if self.quotes > 0 => {
                self.commands += 1;
                Act::Requote {
                    quote: self.dice.below(u64::from(self.quotes)) as u8,
                    supersede: self.chance(50),
                }
            }
            69..75 => self.stray(),
            75..77 if self.people => self.replaced(),
            77 if self.people => self.accepted(),
            78..88 if self.people => self.person(),
            _ => self.happen(),
        }
    }

    /// Another request for an order, money on the old link, and a person who says where it belongs.
    fn replaced(&mut self) -> Act {
        let (old, new) = (self.request(), self.due.len() as u8);
        let place = usize::from(old);
        let (order, minor) = (self.orders[place], self.due[place]);
        self.txn += 1;
        let of = (old, 0, self.txn, minor);
        self.captured.push(of);
        let case = 0;
        let (to, back) = (How::Reassign(new), self.one(&[minor, minor / 2]));
        let late = self.told(of, Said::Captured(of.2, minor));
        let gone = self.told(of, Said::Refunded(of.2, back, Some(1)));
        self.next.push(late);
        if self.chance(40) {
            // What a refund holds does not move.
            self.refunds += 1;
            self.next.push(Act::Refund {
                request: old,
                capture: 0,
                applied: false,
                minor: Some(back),
                call: self.one(&[Call::Lost, Call::AnswerLost(1), Call::Named(1)]),
            });
        }
        let moved = Act::Resolve {
            request: old,
            case,
            how: to,
        };
        self.next.extend([moved, gone]);
        let by_bot = false;
        self.create_as(order, true, by_bot)
    }

    /// Called off, and paid for all the same: a person takes the money.
    fn accepted(&mut self) -> Act {
        let request = self.request();
        let minor = self.due[usize::from(request)];
        self.txn += 1;
        self.commands += 1;
        let of = (request, 0, self.txn, minor);
        self.captured.push(of);
        let paid = self.told(of, Said::Captured(of.2, minor));
        let (case, how) = (0, How::Accept);
        self.next
            .extend([paid, Act::Resolve { request, case, how }]);
        let ends = true;
        Act::Cancel { request, ends }
    }

    fn create(&mut self) -> Act {
        let order = self.dice.below(2) as u8;
        let supersede = self.chance(40);
        let by_bot = self.chance(50);
        self.create_as(order, supersede, by_bot)
    }

    fn create_as(&mut self, order: u8, supersede: bool, by_bot: bool) -> Act {
        self.commands += 1;
        self.quotes += u8::from(by_bot);
        let minor = self.one(&[100, 1_000, 1_500]);
        self.due.push(minor);
        self.orders.push(order);
        Act::Create {
            key: if self.chance(5) { 0 } else { self.commands },
            order,
            scenario: self.one(&Scenario::ALL),
            minor,
            life_s: self.one(&[60, 600, 3_600]),
            supersede,
            by_bot,
        }
    }

    /// Money that no request explains, of an amount that one waits for; or news of money that is known.
    fn stray(&mut self) -> Act {
        let (order, told) = (self.strays.len() as u8, self.request());
        let due = self.due[usize::from(told)];
        self.messages += 1;
        let when = self.one(&[When::Ago(0), When::Ago(900), When::Unsaid]);
        if !self.strays.is_empty() && self.chance(40) {
            let order = self.dice.below(u64::from(order)) as u8;
            let (account, txn, minor) = self.strays[usize::from(order)];
            let part = self.one(&[minor, minor / 2]);
            let said = [
                Said::Captured(txn, minor),
                Said::Refunded(txn, part, Some(1)),
                Said::RefundedInAll(txn, part),
                Said::DisputeOpened(txn, None),
            ];
            let said = self.one_of(&said);
            let (names, kept) = (None, true);
            return Act::Stray {
                order,
                account,
                said,
                when,
                names,
                kept,
            };
        }
        use Account::{Blind, Main, Stall, Strict};
        let account = self.one(&[Main, Main, Strict, Blind, Stall]);
        let names = (account == Stall && self.chance(60)).then_some(told);
        if !self.chance(10) {
            self.txn += 1;
        }
        let txn = self.txn.max(1);
        self.strays.push((account, txn, due));
        self.next.push(Act::Wait { seconds: 907 });
        if self.people {
            let money = order;
            let how = [
                How::Reassign(told),
                How::Reassign(told),
                How::GivenBack,
                How::Keep,
                How::Dismiss,
            ];
            self.next.push(Act::Find {
                money,
                how: self.one(&how),
            });
        }
        let (said, kept) = (Said::Captured(txn, due), self.chance(90));
        Act::Stray {
            order,
            account,
            said,
            when,
            names,
            kept,
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
        let (other, number) = (self.request(), self.dice.below(3) as u8);
        let call = self.one(&[
            Call::AnswerLost(number),
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
                how: self.one(&[
                    How::Accept,
                    How::Refund(0),
                    How::Keep,
                    How::Dismiss,
                    How::Reassign(other),
                    How::Reassign(other),
                    How::Answered(true),
                    How::Answered(false),
                ]),
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

    /// What is written in several places, or before a call, is cut more often, and early.
    fn trouble(&self, act: &Act) -> Option<Trouble> {
        use Fault::{Full, NotApplied, Passes, ReplyLost, RequestLost};
        let how = match act {
            Act::Resolve { how, .. } | Act::Find { how, .. } => Some(how),
            _ => None,
        };
        let moves = matches!(how, Some(How::Reassign(_)))
            || matches!(act, Act::Cancel { .. } | Act::Refund { .. });
        if moves && self.chance(3 * self.troubles) {
            return Some(Trouble::Crash(1 + self.dice.below(6) as u32));
        }
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
