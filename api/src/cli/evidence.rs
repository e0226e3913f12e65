//! Sealed evidence at the terminal: what there is about a request, and its raw bytes into a file.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;
use domain::digest::Digest32;
use domain::ids::{MerchantId, PaymentRequestId, ReasonCode};
use domain::sealed::Commitment;
use serde_json::json;

use super::admin::{read_secret, send};
use super::args::Global;
use super::out::{Failure, Out};
use super::serve::settings;
use crate::admin::AdminCommand;
use crate::admin::evidence::EvidenceCommand;

#[derive(Subcommand)]
pub(super) enum Evidence {
    /// What is kept sealed about a payment request, oldest first.
    #[command(
        after_help = "Example: counterfoil evidence list pr_aaaaaaaaaaaaaaaaaaaaaaaaaa --merchant shop"
    )]
    List {
        /// The payment request.
        request: PaymentRequestId,
        /// Whose.
        #[arg(long)]
        merchant: MerchantId,
    },
    /// Open one piece into a file. Who opened it and why is in the log before the bytes leave.
    #[command(
        after_help = "Example: counterfoil evidence open pr_aaaaaaaaaaaaaaaaaaaaaaaaaa \
    0909090909090909090909090909090909090909090909090909090909090909 --merchant shop \
    --reason payer_disputes --out receipt.png --operator op-7"
    )]
    Open {
        /// The payment request.
        request: PaymentRequestId,
        /// Which, by its commitment.
        #[arg(value_parser = commitment)]
        commitment: Commitment,
        /// Whose.
        #[arg(long)]
        merchant: MerchantId,
        /// A short code for why.
        #[arg(long)]
        reason: ReasonCode,
        /// Why, in words that are kept sealed; - for standard input, which no other user of the machine sees.
        #[arg(long, allow_hyphen_values = true)]
        text: Option<String>,
        /// The file to write, its owner's alone; one that exists is left as it is.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

fn commitment(text: &str) -> Result<Commitment, String> {
    let digest = Digest32::from_hex(text).ok_or("64 hexadecimal digits")?;
    Ok(Commitment(digest))
}

pub(super) async fn run(global: &Global, out: &Out, command: Evidence) -> Result<(), Failure> {
    let settings = settings(global, out)?.settings;
    let ask = async |command| send(global, &settings, AdminCommand::Evidence(command)).await;
    match command {
        Evidence::List { request, merchant } => {
            let kept = ask(EvidenceCommand::List { merchant, request }).await?;
            out.list(
                &["commitment", "kind", "media", "event", "actor", "at"],
                &kept,
            );
        }
        Evidence::Open {
            request,
            commitment,
            merchant,
            reason,
            text,
            out: path,
        } => {
            let text = match text.as_deref() {
                Some("-") => Some(read_secret(Path::new("-"))?.trim_end().to_owned()),
                Some(text) => Some(text.to_owned()),
                None => None,
            };
            // The file comes first: what cannot be written is not opened.
            let file = new_file(&path)?;
            let open = EvidenceCommand::Open {
                merchant,
                request,
                commitment,
                reason,
                text,
            };
            let written = ask(open).await.and_then(|opened| {
                let bytes = opened["base64"]
                    .as_str()
                    .and_then(|text| STANDARD.decode(text).ok());
                let bytes = bytes
                    .ok_or_else(|| Failure::failed("the answer of the server cannot be read"))?;
                write(file, &path, &bytes)?;
                Ok((opened["media"].clone(), bytes.len()))
            });
            match written {
                Ok((media, bytes)) => {
                    out.one(&json!({ "file": path, "media": media, "bytes": bytes }));
                }
                Err(failure) => {
                    // The failure is what there is to tell; an empty file helps nobody.
                    let _ = std::fs::remove_file(&path);
                    return Err(failure);
                }
            }
        }
    }
    Ok(())
}

fn new_file(path: &Path) -> Result<File, Failure> {
    let mut options = OpenOptions::new();
    let made = options.write(true).create_new(true).mode(0o600).open(path);
    made.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

fn write(mut file: File, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.map_err(|error| Failure::failed(format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_its_owners_alone_and_none_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("receipt.png");
        write(new_file(&path).unwrap(), &path, b"shown").unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(new_file(&path).unwrap_err().code, 2);
        assert_eq!(std::fs::read(&path).unwrap(), b"shown");
    }
}
