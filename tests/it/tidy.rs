//! The fences: what the source tree promises about itself, checked like any other promise.
//!
//! Each file here looks at the tree as text. None of them runs the product, and none changes a file.

mod dependencies;
mod fences;
mod manifests;
mod model;
mod planted;
mod source;
mod tree;
