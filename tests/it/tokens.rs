//! Tokens of clients: from when they count, and until when.

use std::time::Duration;

use api::admin::AdminCommand;
use domain::ids::ClientId;
use harness::node::TestNode;

const REQUESTS: &str = "/v1/payment-requests";

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_refused_within_a_second_and_the_other_one_lives() {
    let node = TestNode::start().await;
    let second = node.token_for("bot", Duration::from_secs(600)).await;
    let bearer = format!("Bearer {second}");
    let read = || node.call("GET", REQUESTS, Some(&bearer), None, None);
    let until = tokio::time::Instant::now() + Duration::from_secs(1);
    while read().await.status != 200 {
        assert!(
            tokio::time::Instant::now() < until,
            "a new token is known within a second"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let key_id = second.split('_').nth(2).unwrap().to_owned();
    let id = ClientId::parse("bot").unwrap();
    node.admin(AdminCommand::ClientRevoke {
        id: id.clone(),
        key_id: Some(key_id),
    })
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    read().await.expect(401);
    node.get("bot", REQUESTS).await.expect(200);
    node.admin(AdminCommand::ClientRevoke { id, key_id: None })
        .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    node.get("bot", REQUESTS).await.expect(401);
    node.get("bot-2", REQUESTS).await.expect(200);
    node.stop().await;
}
