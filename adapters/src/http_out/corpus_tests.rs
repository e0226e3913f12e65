//! The corpus of places that a request may and may not go to, judged where a URL is written and
//! where it is called.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::ports::{Destinations, HttpOut, NotCallable, OutError, OutRequest};
use futures::future::BoxFuture;

use super::client::{CheckedHttp, HttpOutOptions};
use super::connect::{Names, allowed};
use super::{AddressGuard, CallableUrls, Cidr};

const CORPUS: &str = include_str!("corpus.tsv");

/// Every name has these addresses; how often somebody asked.
#[derive(Default)]
struct OneAnswer {
    answer: Mutex<Vec<IpAddr>>,
    asked: Mutex<usize>,
}

impl Names for OneAnswer {
    fn look_up(&self, _: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        *self.asked.lock().unwrap() += 1;
        let answer = self.answer.lock().unwrap().clone();
        Box::pin(async move { Ok(answer) })
    }
}

/// A deployment: what it allows, and its client.
struct Deployment {
    urls: CallableUrls,
    names: Arc<OneAnswer>,
    client: CheckedHttp,
}

impl Deployment {
    fn allowing(networks: &str) -> Self {
        let networks = networks.split(',').filter(|text| !text.is_empty());
        let networks = networks.map(|text| Cidr::parse(text).unwrap()).collect();
        let urls = CallableUrls {
            guard: AddressGuard::allowing(networks),
            allow_http: false,
        };
        let names = Arc::new(OneAnswer::default());
        let options = HttpOutOptions {
            urls: urls.clone(),
            ..HttpOutOptions::default()
        };
        let client = CheckedHttp::knowing(options, names.clone()).unwrap();
        Self {
            urls,
            names,
            client,
        }
    }

    async fn send(&self, url: &str) -> Result<u16, OutError> {
        let request = OutRequest {
            method: "POST",
            url: url.to_owned(),
            headers: vec![],
            body: vec![],
            deadline: Duration::from_secs(5),
            answer_bytes_max: 16,
        };
        self.client.send(request).await.map(|answer| answer.status)
    }
}

fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match rest.next().unwrap() {
            't' => plain.push('\t'),
            'n' => plain.push('\n'),
            'r' => plain.push('\r'),
            's' => plain.push(' '),
            '\\' => plain.push('\\'),
            'u' => {
                let digits: String = rest.by_ref().take_while(|c| *c != '}').skip(1).collect();
                let code = u32::from_str_radix(&digits, 16).unwrap();
                plain.push(char::from_u32(code).unwrap());
            }
            other => panic!("{other} in {text}"),
        }
    }
    plain
}

fn reason(why: NotCallable) -> String {
    match why {
        NotCallable::Address(what) | NotCallable::Name(what) => what.to_owned(),
        NotCallable::NotPlain
        | NotCallable::NotHttps
        | NotCallable::Credentials
        | NotCallable::Port => why.to_string(),
    }
}

/// The addresses of a row, and those of them that may be connected to.
fn answers(text: &str) -> (Vec<IpAddr>, Vec<IpAddr>) {
    let each = || text.split(',').filter(|one| *one != "-");
    let address = |one: &str| one.trim_end_matches('!').parse::<IpAddr>().unwrap();
    let used = each().filter(|one| !one.ends_with('!'));
    (each().map(address).collect(), used.map(address).collect())
}

#[tokio::test]
async fn every_form_of_the_corpus_is_judged_as_it_says_when_written_and_when_called() {
    let (mut refused, mut called) = (0, 0);
    let mut here = Deployment::allowing("");
    for line in CORPUS.lines().filter(|line| !line.is_empty()) {
        if line.starts_with('#') {
            if line.starts_with("## ") {
                here = Deployment::allowing("");
            }
            continue;
        }
        let cells: Vec<&str> = line.split('\t').collect();
        if let ["allow", networks] = cells[..] {
            here = Deployment::allowing(networks);
            continue;
        }
        let [verdict, url, resolved, expected, why] = cells[..] else {
            panic!("no row: {line}");
        };
        assert!(!why.is_empty(), "{line}");
        let url = unescaped(url);
        let (found, used) = answers(resolved);
        here.names.answer.lock().unwrap().clone_from(&found);
        *here.names.asked.lock().unwrap() = 0;
        let read = here.urls.read(&url).map(|_| ()).map_err(reason);
        let written = here.urls.receiver(&url).map_err(reason);
        let expected = || Err(expected.to_owned());
        match verdict {
            "refuse" => {
                assert_eq!((&read, &written), (&expected(), &expected()), "{line}");
                assert_eq!(here.send(&url).await, Err(OutError::Blocked), "{line}");
                assert_eq!(*here.names.asked.lock().unwrap(), 0, "{line}");
                refused += 1;
            }
            "refuse-new" => {
                assert_eq!((read, written), (Ok(()), expected()), "{line}");
                refused += 1;
            }
            "block" => {
                assert_eq!((read, written), (Ok(()), Ok(())), "{line}");
                assert!(used.is_empty() && !found.is_empty(), "{line}");
                let first = here.urls.guard.check(found[0]).map_err(str::to_owned);
                assert_eq!(first, expected(), "{line}");
                assert_eq!(here.send(&url).await, Err(OutError::Blocked), "{line}");
                assert_eq!(*here.names.asked.lock().unwrap(), 1, "{line}");
                refused += 1;
            }
            "call" => {
                assert_eq!((read, written), (Ok(()), Ok(())), "{line}");
                if !found.is_empty() {
                    assert_eq!(allowed(&here.urls.guard, &found).unwrap(), used, "{line}");
                }
                called += 1;
            }
            other => panic!("{other} is no verdict"),
        }
    }
    println!("corpus: {refused} forms refused, {called} let through");
    assert!(refused >= 250 && called >= 60, "{refused}, {called}");
}
