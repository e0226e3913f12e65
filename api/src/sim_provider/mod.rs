//! The simulated provider: a small bank to try the ledger with.
