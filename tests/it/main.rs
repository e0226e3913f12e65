//! The tests that need more than one crate. Each file is one promise or one suite; names of tests
//! are sentences.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod alerts;
mod bot_view;
mod callbacks_by_query;
mod canaries;
mod cancels;
mod card_numbers;
mod checkout_browser;
mod checkout_page;
mod contract;
mod deliveries;
mod disk_faults;
mod evidence;
mod exceptions;
mod failed_deliveries;
mod http_limits;
mod http_policy;
mod http_stream;
mod kill_loop;
mod late_money;
mod libraries_verify;
mod look_up_loop;
mod look_ups;
mod model;
mod moved_money;
mod outbound_golden;
mod overrides_refused;
mod payer_notices;
#[cfg(feature = "planted")]
mod planted_mistakes;
mod prechecks;
mod promise_01_terms;
mod promise_02_idempotent_create;
mod promise_03_bot;
mod promise_04_paid_only_when_verified;
mod promise_05_all_terms_match;
mod promise_06_repeats;
mod promise_07_one_transaction_one_request;
mod promise_08_overrides;
mod promise_09_no_money_is_lost;
mod promise_10_every_subscriber_hears_once;
mod promise_11_failed_deliveries;
mod promise_12_rebuild;
mod pull;
mod pull_queue;
mod receivers_guide;
mod redrive_batches;
mod refund_calls;
mod refunds;
mod registrations;
mod sessions;
mod several_nodes;
mod subscribers;
mod tidy;
mod tokens;
mod transfers;
mod unapplied_funds;
mod view_engine;
mod view_stores;
mod where_events_may_go;
