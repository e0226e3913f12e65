//! Outgoing HTTP without a network, for tests and simulations.

use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use domain::ports::{HttpOut, OutAnswer, OutError, OutRequest};

type Answer = dyn FnMut(&OutRequest) -> Result<OutAnswer, OutError> + Send;

/// Answers from a function or from a list, and remembers what it was asked.
pub struct ScriptedHttp {
    answer: Mutex<Box<Answer>>,
    seen: Mutex<Vec<OutRequest>>,
}

impl ScriptedHttp {
    /// Every request is answered by `answer`.
    pub fn answering(
        answer: impl FnMut(&OutRequest) -> Result<OutAnswer, OutError> + Send + 'static,
    ) -> Self {
        Self {
            answer: Mutex::new(Box::new(answer)),
            seen: Mutex::new(vec![]),
        }
    }

    /// The answers in order; afterwards nobody is there any more.
    pub fn in_order(answers: impl IntoIterator<Item = Result<OutAnswer, OutError>>) -> Self {
        let mut answers: VecDeque<_> = answers.into_iter().collect();
        Self::answering(move |_| answers.pop_front().unwrap_or(Err(OutError::Connect)))
    }

    /// An answer with a JSON body.
    pub fn json(status: u16, body: impl Into<Vec<u8>>) -> OutAnswer {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        OutAnswer {
            status,
            headers,
            body: body.into(),
            cut: false,
        }
    }

    /// What was asked so far.
    pub fn seen(&self) -> Vec<OutRequest> {
        self.seen
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }
}

#[async_trait]
impl HttpOut for ScriptedHttp {
    /// The cap on the answer holds here as well.
    async fn send(&self, request: OutRequest) -> Result<OutAnswer, OutError> {
        let most = request.answer_bytes_max;
        let answer = (self
            .answer
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner))(&request);
        self.seen
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(request);
        answer.map(|mut answer| {
            answer.cut |= answer.body.len() > most;
            answer.body.truncate(most);
            answer
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn answers_come_in_order_and_what_was_asked_is_remembered() {
        let http =
            ScriptedHttp::in_order([Ok(ScriptedHttp::json(200, "{}")), Err(OutError::Timeout)]);
        let request = |path: &str| OutRequest {
            method: "GET",
            url: format!("https://a.example/{path}"),
            headers: vec![],
            body: vec![],
            deadline: Duration::from_secs(1),
            answer_bytes_max: 1,
        };
        let first = http.send(request("1")).await.unwrap();
        assert_eq!(
            (first.status, first.body.as_slice(), first.cut),
            (200, b"{".as_slice(), true)
        );
        assert_eq!(http.send(request("2")).await, Err(OutError::Timeout));
        assert_eq!(http.send(request("3")).await, Err(OutError::Connect));
        let urls: Vec<String> = http.seen().into_iter().map(|request| request.url).collect();
        assert_eq!(
            urls,
            [
                "https://a.example/1",
                "https://a.example/2",
                "https://a.example/3"
            ]
        );
    }
}
