//! Servers whose names depend on the connection.

use registry::Registry;

use super::target;
use crate::servers::file_url;

/// As <https://www.twilio.com/docs/global-infrastructure/using-the-twilio-rest-api-in-a-non-us-region> tells.
#[test]
fn requests_of_an_account_go_to_the_servers_of_its_region() {
    let registry = Registry::builtin().unwrap();
    let provider = registry.get("twilio").unwrap();
    let host = |region: Option<&str>, server: Option<&str>| {
        let mut target = target(provider.as_ref().clone());
        let mut variables = target.variables.as_ref().clone();
        let region = region.map(|region| ("region".to_owned(), region.to_owned()));
        variables.connection_config.extend(region);
        target.variables = variables.into();
        file_url(&target, server).unwrap().to_string()
    };
    assert_eq!(host(None, None), "https://api.twilio.com/");
    assert_eq!(host(None, Some("verify")), "https://verify.twilio.com/");
    assert_eq!(
        host(Some("dublin.ie1"), None),
        "https://api.dublin.ie1.twilio.com/"
    );
    assert_eq!(
        host(Some("sydney.au1"), Some("messaging")),
        "https://messaging.sydney.au1.twilio.com/"
    );
    let region = &provider.connection_config["region"];
    for wrong in [
        "ie1",
        "dublin",
        "dublin.ie1.evil.example",
        "x/y.ie1",
        "dublin.ie1#",
    ] {
        assert!(region.check(wrong).is_err(), "{wrong}");
    }
}
