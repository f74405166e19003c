//! What the walk over all operations gives to actions, and the things that they are about.

use serde_json::{Value as Json, json};
use testkit::TestApp;

use crate::actions::{TO, message, trigger, trigger_with};

/// What an action is given by its short route.
pub(crate) fn short_route_body(operation: &str, app: &TestApp) -> Json {
    let assets = app.simulator().assets();
    let (from, service) = (&assets.numbers[0], &assets.verify_services[0]);
    let mut body = match operation {
        "twilio_send_message" => json!({ "to": TO, "from": from, "body": "walked" }),
        "twilio_create_call" => json!({ "to": TO, "from": from, "twiml": "<Response/>" }),
        "twilio_start_verification" => json!({ "serviceSid": service, "to": TO }),
        "twilio_check_verification" => {
            let code = app.simulator().verifications()[0].code.clone();
            json!({ "serviceSid": service, "to": TO, "code": code })
        }
        "twilio_redact_message" | "twilio_cancel_message" | "twilio_hang_up" => json!({}),
        other => panic!("the walk does not know what to give {other}: say so in `short_route_body`"),
    };
    body["connectionId"] = json!("my-twilio");
    body
}

/// Ids of things that the walk's actions are about, by their names in the paths.
pub(crate) struct Things {
    sent: String,
    scheduled: String,
    call: String,
    action: String,
}

impl Things {
    pub(crate) async fn make(app: &TestApp) -> Self {
        let assets = app.simulator().assets();
        let at = app.simulator().now() + chrono::Duration::days(2);
        let later = json!({ "to": TO, "messagingServiceSid": assets.messaging_services[0], "body": "x", "sendAt": at.to_rfc3339() });
        let call = json!({ "to": TO, "from": assets.numbers[0], "twiml": "<Response/>" });
        let verification = json!({ "serviceSid": assets.verify_services[0], "to": TO });
        let sid = async |name: &str, input: &Json| -> String {
            let made = trigger(app, name, input).await.expect(200).json();
            made["sid"].as_str().unwrap().to_owned()
        };
        sid("start-verification", &verification).await;
        let stored = trigger_with(app.admin(), "get-balance", &json!({}), &[("X-Async", "true")]).await;
        let sent = sid("send-message", &message(app, "walked")).await;
        let scheduled = sid("send-message", &later).await;
        app.advance(std::time::Duration::from_secs(300));
        app.run_due().await;
        Self {
            sent,
            scheduled,
            // Last, so that it is not over when it is to be ended.
            call: sid("create-call", &call).await,
            action: stored.expect(202).json()["id"].as_str().unwrap().to_owned(),
        }
    }

    pub(crate) fn fill(&self, operation: &str, path: &str) -> String {
        let message = if operation == "twilio_cancel_message" {
            &self.scheduled
        } else {
            &self.sent
        };
        let path = path
            .replace("{messageSid}", message)
            .replace("{callSid}", &self.call);
        let path = path.replace("{phoneNumber}", TO);
        if operation == "get_action_result" {
            path.replace("{id}", &self.action)
        } else {
            path
        }
    }
}
